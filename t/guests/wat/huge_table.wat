;; Wants a table of 100 million entries from the start: tables count as memory too.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (table 100000000 funcref)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
