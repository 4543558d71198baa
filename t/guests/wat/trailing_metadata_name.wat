;; The trailing-metadata callback by the name that two SDKs export, instead of the one that hosts
;; look for (proxy_on_grpc_receive_trailing_metadata): the host finds it all the same.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func (export "proxy_on_grpc_trailing_metadata") (param i32 i32 i32)))
