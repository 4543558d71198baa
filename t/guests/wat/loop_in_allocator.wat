;; An endless loop in the allocator, which a host function calls: it is a part of the callback.
(module
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 0) ":path")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32)
    (loop $again (br $again))
    (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $get_header (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 36))))
