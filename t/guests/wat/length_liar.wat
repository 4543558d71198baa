;; Announces another length than the response has, and cannot change the body: nginx must not believe it.
(module
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (data (i32.const 0) "content-length")
  (data (i32.const 16) "5")
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (if (call $replace (i32.const 2) (i32.const 0) (i32.const 14) (i32.const 16) (i32.const 1))
      (then unreachable))
    (i32.const 0)))
