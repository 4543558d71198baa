;; Only malloc, as Emscripten and TinyGo export it.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) ":path")
  (data (i32.const 64) "get_header: 00")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  ;; Logs a line that ends in two spare characters, with the status in their place.
  (func $report (param $text i32) (param $size i32) (param $status i32)
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 2))
      (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 1))
      (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $log (i32.const 2) (local.get $text) (local.get $size))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $report (i32.const 64) (i32.const 14)
      (call $get_header (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 36)))
    (i32.const 0)))
