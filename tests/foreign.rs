//! Calls that wait for a Lua function, through the C interface as Lua uses it.

use std::ptr::null;

use resty_proxy_wasm::capi::*;
use resty_proxy_wasm::plugin::foreign::{begun, question as youngest};

/// Asks for "f" in every callback of a start, and recurses without end for the
/// configuration "deep", traps for "trap".
const GUEST: &str = r#"(module
    (import "env" "proxy_call_foreign_function"
        (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 2)
    (data (i32.const 16) "f")
    (data (i32.const 32) "argument")
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func $ask (result i32)
        (call $call (i32.const 16) (i32.const 1) (i32.const 32) (i32.const 8)
            (i32.const 0) (i32.const 4)))
    (func $deep (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (call $ask)))))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $ask))
        (if (i32.eq (local.get 1) (i32.const 4)) (then (drop (call $deep (i32.const 0)))))
        (if (i32.eq (local.get 1) (i32.const 5)) (then (unreachable)))
        ;; Refuses what is not answered "yes".
        (i32.eq (i32.load (i32.const 1024)) (i32.const 0x00736579)))
    (func (export "proxy_on_foreign_function") (param i32 i32 i32)
        (if (i32.eq (local.get 1) (i32.const 2)) (then (drop (call $ask))))))"#;

const NO_STR: rpw_str = rpw_str {
    data: null(),
    len: 0,
};

fn load() -> *mut rpw_plugin {
    load_guest(GUEST)
}

fn load_guest(text: &str) -> *mut rpw_plugin {
    let code = wat::parse_str(text).unwrap();
    // SAFETY: numbers and pointers; all 0 are the defaults.
    let options: rpw_options = unsafe { std::mem::zeroed() };
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

fn configure(plugin: *const rpw_plugin, configuration: &str) -> i32 {
    // SAFETY: alive.
    unsafe {
        rpw_root_new(
            plugin,
            configuration.as_ptr().cast(),
            configuration.len() as i32,
            0,
        )
    }
}

/// Gives the number of "f".
fn register(there: bool) -> u32 {
    // SAFETY: a string.
    unsafe { rpw_foreign_register(c"f".as_ptr(), 1, there.into()) }
}

/// Number, callee and argument of what the youngest call waits for.
fn question() -> Option<(u32, u32, String)> {
    youngest(|number, callee, argument| {
        let argument = String::from_utf8_lossy(argument).into_owned();
        (number, callee, argument)
    })
}

/// The same of the last call that came to wait, as Lua sees it.
fn seen() -> (u32, u32, String) {
    // SAFETY: it is there as long as the thread.
    parts(unsafe { &*rpw_foreign_question() })
}

fn parts(question: &rpw_question) -> (u32, u32, String) {
    let argument = rpw_str {
        data: question.argument,
        len: question.argument_len,
    };
    // SAFETY: the argument is valid until the question is answered.
    let argument = unsafe { text(argument) };
    (question.number, question.callee, argument)
}

fn answer(number: u32, status: i32, result: &str) -> i32 {
    let (data, len) = (result.as_ptr().cast(), result.len() as i32);
    // SAFETY: a string.
    let given = unsafe { rpw_foreign_answer(number, status, data, len) };
    if given == RPW_FOREIGN {
        assert_eq!(Some(seen()), question());
    }
    given
}

/// # Safety
///
/// The string must be valid.
unsafe fn text(string: rpw_str) -> String {
    // SAFETY: as promised.
    let bytes = unsafe { std::slice::from_raw_parts(string.data.cast(), string.len as usize) };
    String::from_utf8_lossy(bytes).into_owned()
}

fn error() -> String {
    let mut string = NO_STR;
    // SAFETY: writable.
    unsafe {
        rpw_error(&mut string);
        text(string)
    }
}

fn free(root: *mut rpw_root) {
    assert!(!root.is_null());
    // SAFETY: it was made just now.
    unsafe { rpw_root_free(root) }
}

#[test]
fn without_a_registered_function_nothing_waits() {
    let plugin = load();
    assert_eq!(configure(plugin, ""), -1);
    assert_eq!(question(), None);
    assert_eq!(answer(1, RPW_ANSWER_OK, ""), RPW_FAILED);
    assert_eq!(error(), "no call waits for this answer");
    assert!(rpw_root_made().is_null());
}

#[test]
fn a_call_waits_and_goes_on_with_the_result() {
    let f = register(true);
    let plugin = load();
    assert_eq!(configure(plugin, ""), RPW_FOREIGN);
    let (number, callee, argument) = question().unwrap();
    assert_eq!(Some(seen()), question());
    assert_eq!((callee, &*argument), (f, "argument"));
    // Meanwhile the plugin is busy; to look at what it waits for changes nothing.
    assert_eq!(configure(plugin, ""), -1);
    assert!(error().starts_with("the plugin is busy"));
    assert_eq!(question().unwrap().0, number);
    assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), 0);
    let root = rpw_root_made();
    assert!(rpw_root_made().is_null());
    free(root);
    register(false);
}

#[test]
fn whatever_a_function_does_the_call_ends() {
    register(true);
    let plugin = load();
    for (status, result) in [
        (RPW_ANSWER_UNKNOWN, -1),
        (RPW_ANSWER_FAILED, -1),
        (RPW_ANSWER_MISBEHAVED, RPW_MISBEHAVED),
        (99, -1),
    ] {
        assert_eq!(configure(plugin, ""), RPW_FOREIGN);
        let (number, ..) = question().unwrap();
        assert_eq!(answer(number, status, "why"), result);
        assert_eq!(question(), None);
    }
    assert_eq!(configure(plugin, "trap!"), RPW_FOREIGN);
    let (number, ..) = question().unwrap();
    assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), -1);
    assert!(error().contains("unreachable"), "{}", error());
    register(false);
}

/// A trap at the engine's limit, not a signal at the stack's: also on a stack
/// of its own, with a function called at every depth.
#[test]
fn endless_recursion_traps() {
    register(true);
    let plugin = load();
    let mut result = configure(plugin, "deep");
    let mut depth = 0;
    while result == RPW_FOREIGN {
        let (number, ..) = question().unwrap();
        result = answer(number, RPW_ANSWER_OK, "yes\0");
        depth += 1;
    }
    assert_eq!(result, -1);
    assert!(error().contains("call stack exhausted"), "{}", error());
    assert!(depth > 1000, "{depth}");
    register(false);
}

#[test]
fn plugins_wait_for_each_other_strictly_nested() {
    register(true);
    let plugins: Vec<_> = (0..50).map(|_| load()).collect();
    let mut numbers = Vec::new();
    for plugin in &plugins {
        assert_eq!(configure(*plugin, ""), RPW_FOREIGN);
        numbers.push(question().unwrap().0);
    }
    for number in numbers.iter().rev() {
        assert_eq!(answer(*number, RPW_ANSWER_OK, "yes\0"), 0);
        free(rpw_root_made());
    }
    // What was given up ends without an answer before an older one goes on.
    for plugin in &plugins {
        assert_eq!(configure(*plugin, ""), RPW_FOREIGN);
    }
    let (last, ..) = question().unwrap();
    let first = last - 49;
    assert_eq!(answer(first, RPW_ANSWER_OK, "yes\0"), 0);
    assert_eq!(answer(last, RPW_ANSWER_OK, "yes\0"), RPW_FAILED);
    assert_eq!(question(), None);
    register(false);
}

/// While a call waits its plugin may lose every owner; nothing is freed under
/// it, and the root context ends afterwards.
#[test]
fn a_plugin_lives_as_long_as_a_call_of_it_waits() {
    register(true);
    let plugin = load();
    assert_eq!(configure(plugin, ""), RPW_FOREIGN);
    let (number, ..) = question().unwrap();
    assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), 0);
    let root = rpw_root_made();

    assert_eq!(configure(plugin, ""), RPW_FOREIGN);
    let (number, ..) = question().unwrap();
    free(root);
    // SAFETY: for the last time.
    unsafe { rpw_plugin_free(plugin) };
    assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), 0);
    free(rpw_root_made());
    register(false);
}

#[test]
fn every_stack_is_used_again() {
    let maps = || {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    };
    register(true);
    let plugin = load();
    let mut before = 0;
    for round in 0..10_000 {
        assert_eq!(configure(plugin, ""), RPW_FOREIGN);
        let (number, ..) = question().unwrap();
        assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), 0);
        free(rpw_root_made());
        if round == 100 {
            before = maps();
        }
    }
    // Other tests have stacks and instances of their own meanwhile.
    assert!(maps() < before + 1000, "{before} {}", maps());
    register(false);
}

/// Who cannot ask for a function of Lua's, or where Lua has none, pays nothing.
#[test]
fn only_calls_that_may_wait_have_stacks_of_their_own() {
    const WITHOUT: &str = r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (func (export "proxy_abi_version_0_2_1"))
        (memory (export "memory") 2)
        (func (export "malloc") (param i32) (result i32) (i32.const 1024))
        (func (export "proxy_on_foreign_function") (param i32 i32 i32)))"#;
    let with = load();
    let without = load_guest(WITHOUT);
    register(true);
    assert_eq!(configure(with, ""), RPW_FOREIGN);
    assert_eq!(answer(question().unwrap().0, RPW_ANSWER_OK, "yes\0"), 0);
    let with = rpw_root_made();
    let before = begun();
    assert_eq!(configure(without, ""), 0);
    let without = rpw_root_made();
    // SAFETY: alive.
    let call = |root| unsafe { rpw_on_foreign_function(root, 1, null(), 0) };
    assert_eq!(call(without), 0);
    assert_eq!(begun(), before);
    assert_eq!(call(with), 0);
    assert_eq!(begun(), before + 1);
    register(false);
    assert_eq!(call(with), 0);
    assert_eq!(begun(), before + 1);
    free(with);
    free(without);
}

/// Not a test of the suite: `cargo test --release --test foreign -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_a_stack_costs() {
    const WITHOUT: &str = r#"(module
        (func (export "proxy_abi_version_0_2_1"))
        (memory (export "memory") 2)
        (func (export "malloc") (param i32) (result i32) (i32.const 1024))
        (func (export "proxy_on_foreign_function") (param i32 i32 i32)))"#;
    register(true);
    let with = load();
    assert_eq!(configure(with, ""), RPW_FOREIGN);
    assert_eq!(answer(question().unwrap().0, RPW_ANSWER_OK, "yes\0"), 0);
    let with = rpw_root_made();
    assert_eq!(configure(load_guest(WITHOUT), ""), 0);
    let without = rpw_root_made();
    let time = |call: &dyn Fn()| {
        let rounds = (0..20).map(|_| {
            let start = std::time::Instant::now();
            (0..100_000).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / 100_000.0
        });
        rounds.fold(f64::MAX, f64::min)
    };
    // SAFETY: alive.
    let call =
        |root| time(&|| assert_eq!(unsafe { rpw_on_foreign_function(root, 1, null(), 0) }, 0));
    println!(
        "with a function: importing {:.0} ns, not importing {:.0} ns",
        call(with),
        call(without)
    );
    register(false);
    println!(
        "without a function: importing {:.0} ns, not importing {:.0} ns",
        call(with),
        call(without)
    );
    // SAFETY: alive.
    let ask = || unsafe { rpw_on_foreign_function(with, 2, null(), 0) };
    let unknown = time(&|| assert_eq!(ask(), 0));
    register(true);
    let waits = time(&|| {
        assert_eq!(ask(), RPW_FOREIGN);
        let (number, ..) = question().unwrap();
        assert_eq!(answer(number, RPW_ANSWER_OK, "yes\0"), 0);
    });
    println!("a function that is not there {unknown:.0} ns, one that is {waits:.0} ns");
    register(false);
}

/// scripts/valgrind.sh runs it, and wants it to be found.
#[test]
#[ignore = "a fault, for valgrind to find"]
fn planted_fault() {
    let bytes = vec![1_u8; 8];
    let gone = std::hint::black_box(bytes.as_ptr());
    drop(bytes);
    // SAFETY: there is none. The memory was freed: this is the fault.
    let byte = unsafe { gone.read_volatile() };
    std::hint::black_box(byte);
}
