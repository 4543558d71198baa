;; fd_write under the older name of WASI, as AssemblyScript and old Rust plugins import it:
;; standard output and error reach the log, by lines.
(module
  (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 2)
  ;; Three buffers: a line in two parts, and one without an end.
  (data (i32.const 0) "\40\00\00\00\06\00\00\00" "\50\00\00\00\06\00\00\00" "\60\00\00\00\09\00\00\00")
  (data (i32.const 64) "hello ")
  (data (i32.const 80) "world\n")
  (data (i32.const 96) "no ending")
  (data (i32.const 128) "stdout: 00")
  (data (i32.const 192) "stderr: 00")
  (data (i32.const 256) "file 9: 00")
  (data (i32.const 320) "out of range: 00")
  ;; Never frees: nothing here lives long enough.
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  ;; Logs a line that ends in two spare characters, with the status in their place.
  (func $report (param $text i32) (param $size i32) (param $status i32)
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 2))
      (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $size)) (i32.const 1))
      (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $log (i32.const 2) (local.get $text) (local.get $size))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $report (i32.const 128) (i32.const 10)
      (call $write (i32.const 1) (i32.const 0) (i32.const 3) (i32.const 512)))
    (call $report (i32.const 192) (i32.const 10)
      (call $write (i32.const 2) (i32.const 0) (i32.const 2) (i32.const 512)))
    (call $report (i32.const 256) (i32.const 10)
      (call $write (i32.const 9) (i32.const 0) (i32.const 1) (i32.const 512)))
    (call $report (i32.const 320) (i32.const 16)
      (call $write (i32.const 1) (i32.const 131070) (i32.const 1) (i32.const 512)))
    (i32.const 0)))
