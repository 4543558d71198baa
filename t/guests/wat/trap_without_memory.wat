;; Needs 64 MiB for a request, and traps where it gets none; what it is refused for its response does not matter to it.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 1024)))
    (i32.const 0))
  (func (export "proxy_on_log") (param i32) unreachable))
