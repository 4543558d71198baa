;; ABI 0.1.0, and functions that only it has, each where it makes sense: the configuration and the route in
;; the request, continue_response for a body that is held back.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_configuration" (func $configuration (param i32 i32) (result i32)))
  (import "env" "proxy_continue_response" (func $continue_response (result i32)))
  (import "env" "proxy_clear_route_cache" (func $clear_route_cache (result i32)))
  (func (export "proxy_abi_version_0_1_0"))
  (memory (export "memory") 2)
  (data (i32.const 64) "on_configure, proxy_get_configuration: 00")
  (data (i32.const 128) "proxy_clear_route_cache: 00")
  (data (i32.const 192) "proxy_continue_response: 00")
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

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (call $report (i32.const 64) (i32.const 41)
      (call $configuration (i32.const 520) (i32.const 524)))
    (drop (call $log (i32.const 2) (i32.load (i32.const 520)) (i32.load (i32.const 524))))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
    (call $report (i32.const 128) (i32.const 27) (call $clear_route_cache))
    (i32.const 0))
  ;; Holds the body back, and lets it go at its end.
  (func (export "proxy_on_response_body") (param $context i32) (param $size i32) (param $end i32)
    (result i32)
    (if (local.get $end)
      (then (call $report (i32.const 192) (i32.const 27) (call $continue_response))))
    (i32.const 1)))
