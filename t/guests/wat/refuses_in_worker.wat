;; Accepts its configuration once, in the master, and never again: no worker has an instance of it.
(module
  (import "env" "proxy_get_shared_data" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (data (i32.const 0) "k")
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (i32.eqz (call $get (i32.const 0) (i32.const 1) (i32.const 32) (i32.const 36) (i32.const 40)))
      (then (return (i32.const 0))))
    (drop (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)))
    (i32.const 1))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0)))
