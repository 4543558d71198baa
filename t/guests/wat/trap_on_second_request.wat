;; Traps at the second request that it sees, and has no callback for responses.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (global $seen (mut i32) (i32.const 0))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
    (if (i32.eq (global.get $seen) (i32.const 2)) (then (unreachable)))
    (i32.const 0)))
