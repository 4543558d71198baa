;; ABI 0.1.0: what the oldest Rust SDK means by the maps 7 and 8 in the answer of a callout (to
;; "callout"). Logs what it gets of the header x-a and the trailer x-t.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_request" (func $continue_request (result i32)))
  (func (export "proxy_abi_version_0_1_0"))
  (memory (export "memory") 2)
  (data (i32.const 0) "callout")
  (data (i32.const 16)
    "\03\00\00\00"
    "\07\00\00\00\03\00\00\00" "\05\00\00\00\01\00\00\00" "\0a\00\00\00\01\00\00\00"
    ":method\00GET\00" ":path\00/\00" ":authority\00h\00")
  (data (i32.const 128) "x-a")
  (data (i32.const 136) "x-t")
  (data (i32.const 144) "map 7, header:")
  (data (i32.const 160) "map 7, trailer:")
  (data (i32.const 176) "map 8, header:")
  (data (i32.const 192) "map 8, trailer:")
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func $show (param $map i32) (param $name i32) (param $text i32) (param $size i32)
    (drop (call $log (i32.const 2) (local.get $text) (local.get $size)))
    (i32.store (i32.const 516) (i32.const 99))
    (drop (call $get_header (local.get $map) (local.get $name) (i32.const 3) (i32.const 512)
      (i32.const 516)))
    (drop (call $log (i32.const 2) (i32.load (i32.const 512)) (i32.load (i32.const 516)))))

  (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
    (drop (call $http_call (i32.const 0) (i32.const 7) (i32.const 16) (i32.const 61)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 520)))
    (i32.const 1))

  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (call $show (i32.const 7) (i32.const 128) (i32.const 144) (i32.const 14))
    (call $show (i32.const 7) (i32.const 136) (i32.const 160) (i32.const 15))
    (call $show (i32.const 8) (i32.const 128) (i32.const 176) (i32.const 14))
    (call $show (i32.const 8) (i32.const 136) (i32.const 192) (i32.const 15))
    (drop (call $continue_request))))
