;; proxy_validate_configuration: whether and when a host asks. Each callback of the start says that it came. A
;; configuration of six bytes is refused.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 64) "validated")
  (data (i32.const 128) "vm started")
  (data (i32.const 192) "configured")
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func (export "proxy_validate_configuration") (param $root i32) (param $size i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 64) (i32.const 9)))
    (i32.ne (local.get $size) (i32.const 6)))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 128) (i32.const 10)))
    (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 192) (i32.const 10)))
    (i32.const 1)))
