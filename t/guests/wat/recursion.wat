;; Recursion without end: the stack limit is a trap like any other, not a fault of the worker.
(module
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func $deeper (param $depth i64) (result i64)
    (i64.add (i64.const 1) (call $deeper (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $deeper (i64.const 0)))
    (i32.const 0)))
