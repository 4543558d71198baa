;; 60,000 calls inside each other, one or two MiB of stack, and a foreign function in the innermost one.
(module
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 16) "f")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $deeper (param $left i64) (result i64)
    (if (i64.eqz (local.get $left))
      (then
        (drop (call $foreign
          (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 32) (i32.const 36)))
        (return (i64.const 0))))
    (i64.add (i64.const 1) (call $deeper (i64.sub (local.get $left) (i64.const 1)))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $deeper (i64.const 60000)))
    (i32.const 0)))
