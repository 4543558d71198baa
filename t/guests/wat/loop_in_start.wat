;; An endless loop in _start: the CPU limit holds before the first callback too.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "_start") (loop $again (br $again))))
