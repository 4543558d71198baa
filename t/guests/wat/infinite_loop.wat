;; An endless loop without a hostcall in a request: the CPU limit interrupts it.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func $inner (loop $again (br $again)))
  (func $outer (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $inner)
    (i32.const 0)))
