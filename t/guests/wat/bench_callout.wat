;; Bench: one callout per request; its answer's status is read, and the request goes on.
(module
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $set_effective (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  ;; A bump allocator that every callback starts anew: what the host gives is used at once.
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 1048576))
  (func $reset (global.set $heap (i32.const 1048576)))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))

  (data (i32.const 0) "auth")
  (data (i32.const 16) ":status")
  ;; The map of :method, :path and :authority.
  (data (i32.const 128) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\06\00\00\00\0a\00\00\00\04\00\00\00:method\00GET\00:path\00/check\00:authority\00auth\00")

  ;; Callouts overlap: the context of each is kept by its token.
  (func $slot (param $token i32) (result i32)
    (i32.add (i32.const 65536) (i32.shl (i32.and (local.get $token) (i32.const 4095)) (i32.const 2))))

  (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
    (call $reset)
    (if (call $http_call (i32.const 0) (i32.const 4) (i32.const 128) (i32.const 69)
                         (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                         (i32.const 5000) (i32.const 32))
      (then unreachable))
    (i32.store (call $slot (i32.load (i32.const 32))) (local.get $context))
    (i32.const 1))

  (func (export "proxy_on_http_call_response") (param $root i32) (param $token i32) (param i32 i32 i32)
    (call $reset)
    (if (call $get_header (i32.const 6) (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 36))
      (then unreachable))
    (drop (call $set_effective (i32.load (call $slot (local.get $token)))))
    (drop (call $continue (i32.const 0)))))
