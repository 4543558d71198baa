;; Bench: one request header read (x-in), one response header added (x-out) with its value.
(module
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add_header (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  ;; A bump allocator that every callback starts anew: what the host gives is used at once.
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 1048576))
  (func $reset (global.set $heap (i32.const 1048576)))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))

  (data (i32.const 0) "x-in")
  (data (i32.const 16) "x-out")

  ;; Requests overlap: each context keeps its value (up to 124 bytes, after its size) in a slot.
  (func $slot (param $context i32) (result i32)
    (i32.add (i32.const 65536)
      (i32.shl (i32.and (local.get $context) (i32.const 1023)) (i32.const 7))))

  (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
    (local $slot i32) (local $size i32)
    (call $reset)
    (local.set $slot (call $slot (local.get $context)))
    (i32.store (local.get $slot) (i32.const 0))
    (if (i32.eqz (call $get_header (i32.const 0) (i32.const 0) (i32.const 4)
                                   (i32.const 32) (i32.const 36)))
      (then
        (local.set $size (i32.load (i32.const 36)))
        (if (i32.gt_u (local.get $size) (i32.const 124))
          (then (local.set $size (i32.const 124))))
        (i32.store (local.get $slot) (local.get $size))
        (memory.copy (i32.add (local.get $slot) (i32.const 4))
          (i32.load (i32.const 32)) (local.get $size))))
    (i32.const 0))

  (func (export "proxy_on_response_headers") (param $context i32) (param i32 i32) (result i32)
    (local $slot i32)
    (call $reset)
    (local.set $slot (call $slot (local.get $context)))
    (drop (call $add_header (i32.const 2) (i32.const 16) (i32.const 5)
      (i32.add (local.get $slot) (i32.const 4)) (i32.load (local.get $slot))))
    (i32.const 0)))
