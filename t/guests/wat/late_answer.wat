;; Asks upstream "side" for /late and lets the request go on. The answer comes when its context is
;; gone: it is the root context's, and can be read.
(module
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) "side")
  ;; The map :method=GET :path=/late :authority=side.
  (data (i32.const 64)
    "\03\00\00\00" "\07\00\00\00\03\00\00\00" "\05\00\00\00\05\00\00\00" "\0a\00\00\00\04\00\00\00"
    ":method\00GET\00" ":path\00/late\00" ":authority\00side\00")
  (data (i32.const 200) "asked")
  (data (i32.const 210) "deleted")
  (data (i32.const 220) "answered to the root")
  (data (i32.const 250) "answered to another")
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (call $http_call (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 68)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 48))
      (then (unreachable)))
    (drop (call $log (i32.const 2) (i32.const 200) (i32.const 5)))
    (i32.const 0))
  (func (export "proxy_on_http_call_response") (param $context i32) (param i32 i32) (param $size i32) (param i32)
    (if (i32.eq (local.get $context) (i32.const 1))
      (then (drop (call $log (i32.const 2) (i32.const 220) (i32.const 20))))
      (else (drop (call $log (i32.const 2) (i32.const 250) (i32.const 19)))))
    ;; HttpCallResponseBody; address and size go to 52 and 56.
    (if (call $get_buffer (i32.const 4) (i32.const 0) (local.get $size) (i32.const 52) (i32.const 56))
      (then (unreachable)))
    (drop (call $log (i32.const 2) (i32.load (i32.const 52)) (i32.load (i32.const 56)))))
  (func (export "proxy_on_delete") (param i32)
    (drop (call $log (i32.const 2) (i32.const 210) (i32.const 7)))))
