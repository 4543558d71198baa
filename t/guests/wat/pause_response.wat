;; Pauses each response and never continues: nginx cannot wait there, so it must not wait for ever.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 1)))
