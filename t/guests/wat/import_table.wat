;; Imports a table, which no host can make up: the load fails, and says which one.
(module
  (import "env" "table" (table 1 funcref))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
