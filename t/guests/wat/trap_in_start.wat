;; A trap before anything else, in _start: the module compiles, no instance of it ever lives.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $inner (unreachable))
  (func (export "_start") (call $inner)))
