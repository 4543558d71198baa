;; Functions that no host knows: the module loads, calls get UNIMPLEMENTED (12), the log names
;; them.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_secret" (func $secret (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_kv_store_get" (func $kv (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_dictionary_get" (func $dictionary (param i64) (result i32)))
  (import "env" "no_result" (func $no_result (param i32)))
  (import "env" "wide_result" (func $wide_result (result i64)))
  (import "another_module" "function" (func $another (param f64) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) "proxy_get_secret: 00")
  (data (i32.const 64) "proxy_kv_store_get: 00")
  (data (i32.const 128) "proxy_dictionary_get: 00")
  (data (i32.const 192) "another_module.function: 00")
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
    (call $report (i32.const 0) (i32.const 20)
      (call $secret (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $report (i32.const 64) (i32.const 22)
      (call $kv (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $report (i32.const 128) (i32.const 24) (call $dictionary (i64.const 0)))
    (call $report (i32.const 192) (i32.const 27) (call $another (f64.const 0)))
    (i32.const 0))

  ;; What has no status to answer can only do nothing, or trap: left to the response.
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $no_result (i32.const 0))
    (drop (call $wide_result))
    (i32.const 0)))
