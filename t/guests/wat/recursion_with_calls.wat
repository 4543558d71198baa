;; Recursion without end that calls a host function at every depth: near the end of the guest's
;; stack, host functions and the allocator still have theirs.
(module
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 0) ":path")
  (data (i32.const 16) "compress")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $deeper (param $depth i64) (result i64)
    (drop (call $get_header
      (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 36)))
    ;; Now and then one with a large frame of its own.
    (if (i64.eqz (i64.and (local.get $depth) (i64.const 255)))
      (then (drop (call $foreign
        (i32.const 16) (i32.const 8) (i32.const 0) (i32.const 64) (i32.const 32) (i32.const 36)))))
    (i64.add (i64.const 1) (call $deeper (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $deeper (i64.const 0)))
    (i32.const 0)))
