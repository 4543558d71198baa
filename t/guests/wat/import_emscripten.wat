;; What Emscripten and AssemblyScript import besides the ABI: all there; abort ends the instance.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "pthread_equal" (func $pthread_equal (param i32 i32) (result i32)))
  (import "env" "emscripten_notify_memory_growth" (func $notify (param i32)))
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) "pthread_equal: 00")
  ;; AssemblyScript's strings: UTF-16, their size in bytes four bytes before them.
  (data (i32.const 128) "\06\00\00\00" "w\00h\00y\00")
  (data (i32.const 160) "\08\00\00\00" "a\00.\00t\00s\00")
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  ;; Logs a line that ends in two spare characters, with the status in their place.
  (func $report (param $text i32) (param $size i32) (param $status i32)
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 2))
      (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 1))
      (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $log (i32.const 2) (local.get $text) (local.get $size))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $notify (i32.const 0))
    (call $report (i32.const 0) (i32.const 17) (call $pthread_equal (i32.const 7) (i32.const 7)))
    (i32.const 0))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $abort (i32.const 132) (i32.const 164) (i32.const 3) (i32.const 14))
    (i32.const 0)))
