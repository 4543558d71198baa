;; Bench: all request headers at once.
(module
  (import "env" "proxy_get_header_map_pairs" (func $get_pairs (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  ;; A bump allocator that every callback starts anew: what the host gives is used at once.
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 1048576))
  (func $reset (global.set $heap (i32.const 1048576)))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $reset)
    (if (call $get_pairs (i32.const 0) (i32.const 32) (i32.const 36)) (then (unreachable)))
    (i32.const 0)))
