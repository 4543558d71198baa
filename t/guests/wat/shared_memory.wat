;; A memory for several threads: there are none here, so the module is refused.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1 1 shared)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
