;; Known names with the wrong number or type of parameters, each as some SDK or host has had it:
;; the module loads, and the calls get UNIMPLEMENTED (12), or what the right ones would do.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_log_level" (func $log_level (param i32 i32) (result i32)))
  (import "env" "proxy_get_metric" (func $metric (param i32 i64) (result i32)))
  (import "env" "proxy_grpc_call"
    (func $grpc_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_stream"
    (func $grpc_stream (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_done" (func $done))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) "proxy_get_log_level: 00")
  (data (i32.const 64) "proxy_get_metric: 00")
  (data (i32.const 128) "proxy_grpc_call: 00")
  (data (i32.const 192) "proxy_grpc_stream: 00")
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
    (call $report (i32.const 0) (i32.const 23) (call $log_level (i32.const 512) (i32.const 516)))
    (call $report (i32.const 64) (i32.const 20) (call $metric (i32.const 1) (i64.const 512)))
    (call $report (i32.const 128) (i32.const 19)
      (call $grpc_call (i32.const 512) (i32.const 0) (i32.const 512) (i32.const 0) (i32.const 512)
        (i32.const 0) (i32.const 512) (i32.const 0) (i32.const 100) (i32.const 516)))
    (call $report (i32.const 192) (i32.const 21)
      (call $grpc_stream (i32.const 512) (i32.const 0) (i32.const 512) (i32.const 0)
        (i32.const 512) (i32.const 0) (i32.const 516)))
    (i32.const 0)))
