;; A 64-bit memory: no Proxy-Wasm pointer fits it, so the module is refused.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") i64 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))
