;; Wants 4 GiB from the start: over the memory limit, so no instance, and a message that says so.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 65536)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
