;; Two memories: each would reserve addresses of its own, and none has a plugin with more than one.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (memory 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
