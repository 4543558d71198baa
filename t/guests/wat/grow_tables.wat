;; Grows two tables until the host says no: table.grow answers -1 at their common limit, and nothing
;; traps. Says how much both had in the end.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (table $one 0 funcref)
  (table $two 0 10 funcref)
  (data (i32.const 0) "elements: 0000000")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $size i32)
    (local $at i32)
    ;; Over its own maximum: that must not count.
    (drop (table.grow $two (ref.null func) (i32.const 900000)))
    (drop (table.grow $two (ref.null func) (i32.const 10)))
    (loop $again
      (br_if $again (i32.ne (table.grow $one (ref.null func) (i32.const 10)) (i32.const -1))))
    (local.set $size (i32.add (table.size $one) (table.size $two)))
    (local.set $at (i32.const 16))
    (loop $digit
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.rem_u (local.get $size) (i32.const 10))))
      (local.set $size (i32.div_u (local.get $size) (i32.const 10)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $digit (local.get $size)))
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 17)))
    (i32.const 0)))
