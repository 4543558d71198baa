;; Shared state of changing size: each request changes the key "n" by compare-and-swap, puts an item into the queue
;; "q" and takes one out, and defines a metric, 1,000 times each. Value and item are a number (a u64) and bytes that
;; follow from it. Traps at any status that it does not expect, and at a value or item that is not whole.
(module
  (import "env" "proxy_get_shared_data"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 4)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))

  (data (i32.const 0) "n")
  (data (i32.const 4) "q")
  (data (i32.const 8) "enqueued")
  (data (i32.const 16) "dequeued")
  ;; A name, and the two bytes that make many of it.
  (data (i32.const 24) "many")
  (global $queue (mut i32) (i32.const 0))
  (global $enqueued (mut i32) (i32.const 0))
  (global $dequeued (mut i32) (i32.const 0))
  ;; Where values are made.
  (global $made i32 (i32.const 131072))

  (func $metric (param $name i32) (param $size i32) (result i32)
    (if (call $define (i32.const 0) (local.get $name) (local.get $size) (i32.const 64)) (then unreachable))
    (i32.load (i32.const 64)))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (call $register (i32.const 4) (i32.const 1) (i32.const 64)) (then unreachable))
    (global.set $queue (i32.load (i32.const 64)))
    (global.set $enqueued (call $metric (i32.const 8) (i32.const 8)))
    (global.set $dequeued (call $metric (i32.const 16) (i32.const 8)))
    (i32.const 1))

  ;; Its own number is never the size of the one before it; many are small, many are not.
  (func $size (param $number i64) (result i32)
    (local $size i32)
    (local.set $size (i32.and (i32.mul (i32.wrap_i64 (local.get $number)) (i32.const 977)) (i32.const 4095)))
    (i32.add (i32.const 8)
      (select (i32.and (local.get $size) (i32.const 31)) (local.get $size)
        (i32.and (i32.wrap_i64 (local.get $number)) (i32.const 1)))))

  (func $make (param $number i64)
    (i64.store (global.get $made) (local.get $number))
    (memory.fill (i32.add (global.get $made) (i32.const 8)) (i32.wrap_i64 (local.get $number))
      (i32.sub (call $size (local.get $number)) (i32.const 8))))

  (func $check (param $at i32) (param $size i32)
    (local $number i64)
    (if (i32.lt_u (local.get $size) (i32.const 8)) (then unreachable))
    (local.set $number (i64.load (local.get $at)))
    (if (i32.ne (local.get $size) (call $size (local.get $number))) (then unreachable))
    (block $whole
      (loop $next
        (br_if $whole (i32.eq (local.get $size) (i32.const 8)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br_if $next (i32.eq
          (i32.load8_u (i32.add (local.get $at) (local.get $size)))
          (i32.and (i32.wrap_i64 (local.get $number)) (i32.const 255))))
        unreachable)))

  ;; Counts the value up and gives its number, which nobody else gets.
  (func $count (result i64)
    (local $status i32)
    (local $number i64)
    (loop $again
      (local.set $number (i64.const 1))
      (local.set $status (call $get (i32.const 0) (i32.const 1)
        (i32.const 32) (i32.const 36) (i32.const 40)))
      (if (i32.eqz (local.get $status))
        (then
          (call $check (i32.load (i32.const 32)) (i32.load (i32.const 36)))
          (local.set $number (i64.add (i64.load (i32.load (i32.const 32))) (i64.const 1))))
        (else
          (if (i32.ne (local.get $status) (i32.const 1)) (then unreachable))
          ;; Nobody has version 0xffffffff: it is set only if there is none.
          (i32.store (i32.const 40) (i32.const -1))))
      (call $make (local.get $number))
      (local.set $status (call $set (i32.const 0) (i32.const 1)
        (global.get $made) (call $size (local.get $number)) (i32.load (i32.const 40))))
      (br_if $again (i32.eq (local.get $status) (i32.const 8)))
      (if (local.get $status) (then unreachable)))
    (local.get $number))

  (func $pass (param $number i64)
    (local $status i32)
    ;; 1: another worker was too slow to wait for.
    (loop $again
      (local.set $status (call $enqueue (global.get $queue)
        (global.get $made) (call $size (local.get $number))))
      (br_if $again (i32.eq (local.get $status) (i32.const 1)))
      (if (local.get $status) (then unreachable)))
    (if (call $increment (global.get $enqueued) (i64.const 1)) (then unreachable))
    (local.set $status (call $dequeue (global.get $queue) (i32.const 32) (i32.const 36)))
    (if (i32.eqz (local.get $status))
      (then
        (call $check (i32.load (i32.const 32)) (i32.load (i32.const 36)))
        (if (call $increment (global.get $dequeued) (i64.const 1)) (then unreachable)))
      ;; 7: others were faster.
      (else (if (i32.ne (local.get $status) (i32.const 7)) (then unreachable)))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $left i32)
    (local $number i64)
    (local.set $left (i32.const 1000))
    (loop $next
      (local.set $number (call $count))
      (call $pass (local.get $number))
      ;; New ones all the time, 4,096 in the end.
      (i32.store16 (i32.const 28)
        (i32.and (i32.shr_u (i32.wrap_i64 (local.get $number)) (i32.const 3)) (i32.const 4095)))
      (if (call $increment (call $metric (i32.const 24) (i32.const 6)) (i64.const 1)) (then unreachable))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (i32.const 0)))
