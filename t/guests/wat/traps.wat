;; Each way a guest can fail that the engine knows, by the number Lua calls it with: some of them are
;; signals of the processor's. Its calls can run on stacks of their own, as it imports
;; proxy_call_foreign_function.
(module
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func $deeper (param $depth i64) (result i64)
    (i64.add (i64.const 1) (call $deeper (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "proxy_on_foreign_function") (param $root i32) (param $way i32) (param $size i32)
    (if (i32.eq (local.get $way) (i32.const 1))
      (then (unreachable)))
    (if (i32.eq (local.get $way) (i32.const 2))
      (then (drop (i32.load (i32.const 0x7fffffff)))))
    (if (i32.eq (local.get $way) (i32.const 3))
      (then (drop (i32.div_u (i32.const 1) (local.get $size)))))
    (if (i32.eq (local.get $way) (i32.const 4))
      (then (call_indirect (i32.const 0))))
    (if (i32.eq (local.get $way) (i32.const 5))
      (then (drop (call $deeper (i64.const 0)))))
    (if (i32.eq (local.get $way) (i32.const 6))
      (then (loop $again (br $again))))))
