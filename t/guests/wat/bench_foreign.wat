;; Bench: what foreign functions cost. Called back with 2 n it calls clear_route_cache n times, which is
;; built in; with 2 n + 1 the function of Lua's that is called noop.
(module
  (import "env" "proxy_call_foreign_function"
    (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  (data (i32.const 0) "clear_route_cache")
  (data (i32.const 32) "noop")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_foreign_function") (param $root i32) (param $id i32) (param $size i32)
    (local $left i32)
    (local.set $left (i32.shr_u (local.get $id) (i32.const 1)))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $left)))
        (if (i32.and (local.get $id) (i32.const 1))
          (then (if (call $call (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 68))
            (then (unreachable))))
          (else (if (call $call (i32.const 0) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 68))
            (then (unreachable)))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $again)))))
