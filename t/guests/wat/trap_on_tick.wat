;; A trap at a timer's tick: the instance is lost, the worker is not; the backtrace names $inner.
(module
  (import "env" "proxy_set_tick_period_milliseconds" (func $set_tick (param i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $inner (unreachable))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $set_tick (i32.const 20)))
    (i32.const 1))
  (func $outer (export "proxy_on_tick") (param i32)
    (call $inner)))
