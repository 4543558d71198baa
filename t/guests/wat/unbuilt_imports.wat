;; Functions of drafts, each a row of the table that is not built: the module loads, and the calls
;; get UNIMPLEMENTED (12).
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_metric" (func $metric (param i32) (result i32)))
  (import "env" "proxy_delete_timer" (func $timer (param i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 0) "proxy_remove_metric: 00")
  (data (i32.const 64) "proxy_delete_timer: 00")
  ;; Never called: a module must have one.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  ;; Logs a line that ends in two spare characters, with the status in their place.
  (func $report (param $text i32) (param $size i32) (param $status i32)
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 2))
      (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 1))
      (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $log (i32.const 2) (local.get $text) (local.get $size))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $report (i32.const 0) (i32.const 23) (call $metric (i32.const 1)))
    (call $report (i32.const 64) (i32.const 22) (call $timer (i32.const 1)))
    (i32.const 0)))
