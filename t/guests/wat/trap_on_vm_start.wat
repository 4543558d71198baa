;; A trap at the start of the VM: the instance is lost, the worker is not; the backtrace names
;; $inner.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $inner (unreachable))
  (func $outer (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (call $inner)
    (i32.const 1)))
