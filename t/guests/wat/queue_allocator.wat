;; A queue whose items the allocator has memory for, or not, as the request's header x-do says by its first letter:
;; e puts "one" and "two" into it; d takes an item out; n does so with an allocator that answers 0, o with one that
;; answers the last byte of the memory, t with one that traps, r with one that takes an item out itself, which it may
;; not, and answers 0.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  (data (i32.const 0) "x-do")
  (data (i32.const 8) "q")
  (data (i32.const 16) "one")
  (data (i32.const 24) "two")
  (data (i32.const 32) "told")
  (data (i32.const 64) "dequeue: 00")
  (global $queue (mut i32) (i32.const 0))
  (global $mode (mut i32) (i32.const 0))

  (func (export "proxy_on_memory_allocate") (param i32) (result i32)
    (if (i32.eq (global.get $mode) (i32.const 110)) (then (return (i32.const 0))))
    (if (i32.eq (global.get $mode) (i32.const 111)) (then (return (i32.const 131071))))
    (if (i32.eq (global.get $mode) (i32.const 116)) (then unreachable))
    (if (i32.eq (global.get $mode) (i32.const 114))
      (then
        (drop (call $dequeue (global.get $queue) (i32.const 40) (i32.const 44)))
        (return (i32.const 0))))
    (i32.const 65536))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (call $register (i32.const 8) (i32.const 1) (i32.const 48)) (then unreachable))
    (global.set $queue (i32.load (i32.const 48)))
    (i32.const 1))

  (func (export "proxy_on_queue_ready") (param i32 i32)
    (drop (call $log (i32.const 2) (i32.const 32) (i32.const 4))))

  ;; Logs the status, in the place of two spare characters, and the item.
  (func $take
    (local $status i32)
    (local.set $status (call $dequeue (global.get $queue) (i32.const 40) (i32.const 44)))
    (i32.store8 (i32.const 73) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.const 74) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $log (i32.const 2) (i32.const 64) (i32.const 11)))
    (if (i32.eqz (local.get $status))
      (then (drop (call $log (i32.const 2) (i32.load (i32.const 40)) (i32.load (i32.const 44)))))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $do i32)
    (if (call $get_header (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 40) (i32.const 44)) (then unreachable))
    (local.set $do (i32.load8_u (i32.load (i32.const 40))))
    (if (i32.eq (local.get $do) (i32.const 101))
      (then
        (if (call $enqueue (global.get $queue) (i32.const 16) (i32.const 3)) (then unreachable))
        (if (call $enqueue (global.get $queue) (i32.const 24) (i32.const 3)) (then unreachable)))
      (else
        (global.set $mode (local.get $do))
        (call $take)
        (global.set $mode (i32.const 0))))
    (i32.const 0)))
