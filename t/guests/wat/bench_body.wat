;; Bench: each chunk of the response body, read.
(module
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  ;; A bump allocator that every callback starts anew: what the host gives is used at once.
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 1048576))
  (func $reset (global.set $heap (i32.const 1048576)))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_body") (param i32) (param $size i32) (param i32) (result i32)
    (call $reset)
    (if (local.get $size)
      (then (drop (call $get_buffer (i32.const 1) (i32.const 0) (local.get $size)
                                    (i32.const 32) (i32.const 36)))))
    (i32.const 0)))
