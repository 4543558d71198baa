//! A trial inside a trial: in the master, where a plugin that is tried calls a
//! Lua function that tries another one.

use std::ptr::null;

use resty_proxy_wasm::capi::*;

/// Asks for the function "f" as it is configured, and then loops without end.
const OUTER: &str = r#"(module
    (import "env" "proxy_call_foreign_function"
        (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 2)
    (data (i32.const 16) "f")
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $call (i32.const 16) (i32.const 1) (i32.const 32) (i32.const 0)
            (i32.const 0) (i32.const 4)))
        (loop $again (br $again))
        (unreachable)))"#;

const INNER: &str = r#"(module
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 2)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1)))"#;

fn load(text: &str) -> *mut rpw_plugin {
    let code = wat::parse_str(text).unwrap();
    // SAFETY: numbers and pointers; all 0 are the defaults.
    let mut options: rpw_options = unsafe { std::mem::zeroed() };
    options.start_cpu_limit = 50;
    // SAFETY: all of it is alive.
    let plugin = unsafe {
        rpw_plugin_load(
            c"p".as_ptr(),
            1,
            code.as_ptr().cast(),
            code.len() as i32,
            &options,
        )
    };
    assert!(!plugin.is_null());
    plugin
}

fn try_out(plugin: *const rpw_plugin) -> i32 {
    // SAFETY: alive, and an empty string.
    unsafe { rpw_root_new(plugin, c"".as_ptr(), 0, 1) }
}

/// Waits until the thread that makes guests look at the clock is there, or is
/// not: it names itself, and goes, some time later.
#[track_caller]
fn check_watched(expected: bool) {
    for _ in 0..1000 {
        if is_watched() == expected {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the thread is there: {}", !expected);
}

fn is_watched() -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.flatten().any(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm"));
        name.is_ok_and(|name| name == "proxy_wasm_cpu\n")
    })
}

#[test]
fn the_outer_one_keeps_its_limit() {
    // SAFETY: numbers and a string. The end comes by itself, should a loop have
    // none.
    unsafe {
        libc::alarm(60);
        rpw_foreign_register(c"f".as_ptr(), 1, 1);
    }
    let (outer, inner) = (load(OUTER), load(INNER));
    check_watched(false);
    assert_eq!(try_out(outer), RPW_FOREIGN);
    check_watched(true);
    assert_eq!(try_out(inner), 0);
    check_watched(true);

    // SAFETY: a question is there, strings are writable; the answer is a string.
    let (result, error) = unsafe {
        let number = (*rpw_foreign_question()).number;
        let result = rpw_foreign_answer(number, RPW_ANSWER_OK, null(), 0);
        let mut error: rpw_str = std::mem::zeroed();
        rpw_error(&mut error);
        let text = std::slice::from_raw_parts(error.data.cast::<u8>(), error.len as usize);
        (result, String::from_utf8_lossy(text).into_owned())
    };
    assert_eq!(result, -1);
    assert_eq!(
        error,
        "failed to run proxy_on_configure: it used more than 50 ms of CPU time (option \
         start_cpu_limit)"
    );
    // The master forks.
    check_watched(false);
}
