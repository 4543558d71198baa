;; Shared state under load: each request counts the key "n" (a u64) up 10,000 times by compare-and-swap,
;; and the counter metric "m" as often. With any configuration, each worker does the same in 25 ticks, and says that it
;; is done. Traps at any status that it does not expect.
(module
  (import "env" "proxy_get_shared_data"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))

  (data (i32.const 0) "n")
  (data (i32.const 8) "m")
  (data (i32.const 16) "done")
  (global $metric (mut i32) (i32.const 0))
  (global $ticks (mut i32) (i32.const 25))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (local.get 1) (then (drop (call $tick (i32.const 1)))))
    (if (call $define (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 64)) (then unreachable))
    (global.set $metric (i32.load (i32.const 64)))
    (i32.const 1))

  (func $count
    (local $status i32)
    (loop $again
      (local.set $status (call $get (i32.const 0) (i32.const 1)
        (i32.const 32) (i32.const 36) (i32.const 40)))
      ;; 0: somebody counted; 1: nobody yet, and 0 sets whatever is there: so begin by version 1.
      (if (i32.eqz (local.get $status))
        (then (i64.store (i32.const 48)
          (i64.add (i64.load (i32.load (i32.const 32))) (i64.const 1))))
        (else
          (if (i32.ne (local.get $status) (i32.const 1)) (then unreachable))
          (i64.store (i32.const 48) (i64.const 1))
          ;; Nobody has version 0xffffffff: it is set only if there is none.
          (i32.store (i32.const 40) (i32.const -1))))
      (local.set $status (call $set (i32.const 0) (i32.const 1)
        (i32.const 48) (i32.const 8) (i32.load (i32.const 40))))
      (br_if $again (i32.eq (local.get $status) (i32.const 8)))
      (if (local.get $status) (then unreachable))))

  (func $count_many
    (local $left i32)
    (local.set $left (i32.const 10000))
    (loop $next
      (call $count)
      (if (call $increment (global.get $metric) (i64.const 1)) (then unreachable))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left))))

  (func (export "proxy_on_tick") (param i32)
    (call $count_many)
    (global.set $ticks (i32.sub (global.get $ticks) (i32.const 1)))
    (if (i32.eqz (global.get $ticks))
      (then
        (drop (call $tick (i32.const 0)))
        (drop (call $log (i32.const 3) (i32.const 16) (i32.const 4))))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $count_many)
    (i32.const 0)))
