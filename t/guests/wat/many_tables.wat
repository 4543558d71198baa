;; Three tables that each are within the limit, and together are not.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (table 400000 funcref)
  (table 400000 funcref)
  (table 400000 funcref)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
