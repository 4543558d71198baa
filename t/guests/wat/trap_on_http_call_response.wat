;; A trap while a callout's answer (from upstream "auth") is handled: the paused request must end.
(module
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 0) "auth")
  ;; The map :method=GET :path=/ :authority=auth.
  (data (i32.const 64)
    "\03\00\00\00" "\07\00\00\00\03\00\00\00" "\05\00\00\00\01\00\00\00" "\0a\00\00\00\04\00\00\00"
    ":method\00GET\00" ":path\00/\00" ":authority\00auth\00")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (call $http_call (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 64)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 48))
      (then (unreachable)))
    (i32.const 1))
  (func $inner (unreachable))
  (func $outer (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (call $inner)))
