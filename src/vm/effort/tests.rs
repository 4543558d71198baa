use super::*;
use crate::abi::limits::{COMPILE_MEMORY, COMPILE_TIME_MS};

const MIB: u64 = 1 << 20;

const LIMITS: Limits = Limits {
    memory: COMPILE_MEMORY,
    time_ms: COMPILE_TIME_MS,
};

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module")
}

/// MiB, and milliseconds.
fn estimated(text: &str) -> (u64, u64) {
    let takes = estimate(&module(text)).expect("it is valid").total;
    (takes.bytes / MIB, takes.nanos / NANOS_PER_MS)
}

/// A function of the type `results` -> `results`, whose body is `line` so often,
/// with so many values around it.
fn repeated(values: usize, line: &str, times: usize) -> String {
    let i32s = "i32 ".repeat(values);
    format!(
        "(module (type $wide (func (param {i32s}) (result {i32s})))
            (table 1 funcref) (memory 1)
            (func $f (type $wide) unreachable)
            (func (local i32) {} {} {}))",
        "i32.const 0 ".repeat(values),
        line.repeat(times),
        "drop ".repeat(values)
    )
}

/// Loops in each other around what is done with each of so many locals.
fn nested(loops: usize, locals: usize, what: &str, end: &str) -> String {
    let locals_used: String = (0..locals)
        .map(|local| what.replace('$', &local.to_string()))
        .collect();
    format!(
        "(module (func (local {}) {} {locals_used} {}))",
        "i32 ".repeat(locals),
        "loop ".repeat(loops),
        format!("{end} end ").repeat(loops)
    )
}

/// What a function or a module took, in MiB and milliseconds of an optimised
/// build, must be less than its estimate, and not by far.
#[track_caller]
fn took(text: &str, mib: u64, ms: u64) {
    let (bytes, time) = estimated(text);
    assert!(
        bytes >= mib && bytes <= 4 * mib + 4,
        "{bytes} MiB, took {mib}"
    );
    assert!(time >= ms && time <= 12 * ms + 200, "{time} ms, took {ms}");
}

#[test]
fn what_compilers_write_takes_little() {
    let loops = "(loop $again (br_if $again (i32.load (local.get 0))))".repeat(50);
    let (mib, ms) = estimated(&format!("(module (memory 1) (func (param i32) {loops}))"));
    assert!(mib < 2 && ms < 10);
    let calls = "(call $f) (call_indirect (i32.const 0))".repeat(500);
    let (mib, ms) = estimated(&format!(
        "(module (table 1 funcref) (func $f) (func {calls}))"
    ));
    assert!(mib < 16 && ms < 100);
}

#[test]
fn few_bytes_can_take_gigabytes() {
    took(&repeated(1000, "(block (type $wide))", 200), 168, 180);
    took(&repeated(1000, "(block (type $wide))", 740), 2147, 2120);
    took(&repeated(10, "(block (type $wide))", 2000), 143, 100);
    let either = "(if (type $wide) (local.get 0) (then) (else))";
    took(&repeated(100, either, 700), 504, 1000);
    took(&repeated(100, "(loop (type $wide))", 700), 1295, 850);
    took(&repeated(1000, "(call $f)", 300), 305, 2000);
    took(
        &repeated(1000, "(call_indirect (type $wide) (i32.const 0))", 100),
        110,
        4600,
    );
    took(
        &repeated(0, "(call_indirect (i32.const 0))", 20_000),
        334,
        4000,
    );
    took(
        &repeated(0, "(drop (table.get 0 (i32.const 0)))", 5000),
        72,
        270,
    );
    took(
        &repeated(0, "(drop (memory.grow (local.get 0)))", 5000),
        76,
        270,
    );
    took(&repeated(0, "(loop)", 20_000), 234, 10_000);
    let either =
        "(local.set 0 (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))";
    took(&repeated(0, either, 10_000), 606, 520);
}

#[test]
fn loops_in_each_other_take_their_locals_each() {
    let read = "(drop (local.get $))";
    took(&nested(2000, 2000, read, ""), 284, 8900);
    assert!(estimated(&nested(2, 2000, read, "")).0 < 4);
    let written = "(local.set $ (i32.add (local.get $) (i32.const 1)))";
    took(
        &nested(200, 200, written, "(br_if 0 (i32.const 0))"),
        65,
        3500,
    );
    let slow = module(&nested(500, 500, written, "(br_if 0 (i32.const 0))"));
    // It took 132 s.
    let why = check(&slow, &LIMITS).expect_err("too long");
    assert!(
        why.starts_with("to compile it would take some 1")
            && why.contains(" of them for its function 0, and may take 120 ")
            && why.ends_with("(option max_compile_time)"),
        "{why}"
    );
}

#[test]
fn loops_in_each_other_take_their_depth() {
    took(&nested(1000, 1, "", "(br_if 0 (local.get 0))"), 12, 1100);
    took(&nested(3000, 1, "", "(br_if 0 (local.get 0))"), 43, 27_400);
    assert!(estimated(&nested(3000, 1, "", "")).1 < 1000);
}

#[test]
fn ways_that_meet_take_the_locals_that_were_written_to() {
    let ifs = |ifs: usize, locals: usize| {
        let body: String = (0..ifs)
            .map(|index| {
                format!(
                    "(if (local.get 0) (then (local.set {} (i32.const 1))))",
                    index % locals
                )
            })
            .collect();
        format!("(module (func (local {}) {body}))", "i32 ".repeat(locals))
    };
    let (mib, ms) = estimated(&ifs(40_000, 1));
    assert!(mib > 120 && ms > 3000, "{mib} MiB, {ms} ms");
    let (mib, ms) = estimated(&ifs(20_000, 1000));
    assert!(mib > 600 && ms > 8700, "{mib} MiB, {ms} ms");
    // Nobody goes another way.
    let block = "(block (local.set 0 (i32.const 1)))".repeat(20_000);
    assert!(estimated(&format!("(module (func (local i32) {block}))")).1 < 300);
}

#[test]
fn branches_take_what_they_hand_on() {
    let branches = |branches: usize, locals: usize| {
        let body: String = (0..branches)
            .map(|index| {
                format!(
                    "(local.set {} (i32.add (local.get {}) (i32.const {index}))) (br_if {} (local.get 0))",
                    1 + index % locals,
                    1 + index * 3 % locals,
                    index % 50
                )
            })
            .collect();
        format!(
            "(module (func (param i32) (local {}) {} {body} {}))",
            "i32 ".repeat(locals),
            "block ".repeat(50),
            "end ".repeat(50)
        )
    };
    took(&branches(1000, 50), 53, 1900);
    took(&branches(2000, 50), 100, 7300);
    took(&branches(2000, 100), 194, 27_100);
    let table = |targets: usize, times: usize| {
        let table = format!("(block (br_table {} (local.get 0)))", "0 ".repeat(targets));
        format!("(module (func (param i32) {}))", table.repeat(times))
    };
    took(&table(3000, 300), 521, 2100);
    took(&table(10_000, 150), 872, 1400);
}

#[test]
fn calls_take_the_values_that_stay_meanwhile() {
    let import = "(import \"a\" \"b\" (func $f (result i32)))";
    let stacked = |calls: usize| {
        format!(
            "(module {import} (func (result i32) {} {}))",
            "call $f ".repeat(calls),
            "i32.add ".repeat(calls - 1)
        )
    };
    took(&stacked(20_000), 73, 3700);
    took(&stacked(40_000), 145, 15_000);
    let calls = "(drop (call $f))".repeat(20_000);
    let (_, ms) = estimated(&format!("(module {import} (func {calls}))"));
    assert!(ms < 500, "{ms} ms");
    let in_locals: String = (0..20_000)
        .map(|index| {
            format!(
                "(local.set {} (i32.xor (call $f) (local.get {})))",
                index % 1000,
                index * 7 % 1000
            )
        })
        .collect();
    let locals = "i32 ".repeat(1000);
    took(
        &format!("(module {import} (func (local {locals}) {in_locals}))"),
        77,
        5340,
    );
    // Nothing is left of it in what cannot be reached, whatever blocks take there.
    let pops = "(type $two (func (param i32 i32))) (func unreachable";
    let odd = format!(
        "(module {pops} (block (type $two) drop drop) i32.add drop (loop (type $two) drop drop)))"
    );
    assert!(estimated(&odd).1 < 1);
}

#[test]
fn long_lines_of_accesses_take_more() {
    let add = "(i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))";
    let stores = |more: &str| {
        let body = format!("{add}{more}").repeat(150_000);
        estimated(&format!("(module (memory 1) (func $f (param i32) {body}))")).1
    };
    let ms = stores("");
    assert!((5700..2 * 5700).contains(&ms), "{ms} ms");
    // Not where something comes between them.
    assert!(stores("(call $f (i32.const 0))") < ms);
    let globals: String = (0..150_000)
        .map(|index| {
            format!(
                "(global.set {} (i32.add (global.get {}) (global.get {})))",
                index % 1000,
                (index + 1) % 1000,
                index * 7 % 1000
            )
        })
        .collect();
    let many = "(global (mut i32) (i32.const 0))".repeat(1000);
    took(&format!("(module {many} (func {globals}))"), 354, 9300);
}

#[test]
fn long_lines_of_sums_take_more() {
    let sums = |what: &str| {
        let body = format!("i32.const 7 {what} ").repeat(100_000);
        format!("(module (func (param i32) (result i32) local.get 0 {body}))")
    };
    // Of different numbers.
    took(&sums("i32.add"), 970, 6250);
    took(&sums("local.set 0 local.get 0 i32.add"), 970, 6250);
    // Not where something comes between them.
    for other in ["i32.and", "i32.add i32.const 7 i32.xor"] {
        let ms = estimated(&sums(other)).1;
        assert!(ms < 1500, "{ms} ms of {other}");
    }
}

#[test]
fn functions_count_without_a_body() {
    took(&format!("(module {})", "(func)".repeat(66_666)), 376, 1900);
}

#[test]
fn what_the_host_can_get_hold_of_takes_a_trampoline() {
    let wide = |count: usize, more: &str| {
        let i32s = "i32 ".repeat(1000);
        let functions = "(func (type $wide) unreachable)".repeat(count);
        format!("(module (type $wide (func (param {i32s}) (result {i32s}))) {functions} {more})")
    };
    let all = |count: usize| {
        (0..count)
            .map(|index| format!("{index} "))
            .collect::<String>()
    };
    let elements = format!("(table 1 funcref) (elem func {})", all(100));
    took(&wide(100, &elements), 22, 1800);
    let items: String = (0..100)
        .map(|index| format!("(item ref.func {index}) "))
        .collect();
    took(&wide(100, &format!("(elem funcref {items})")), 22, 1800);
    let exports: String = (0..100)
        .map(|index| format!("(export \"{index}\" (func {index}))"))
        .collect();
    took(&wide(100, &exports), 22, 1800);
    let globals: String = (0..100)
        .map(|index| format!("(global funcref (ref.func {index}))"))
        .collect();
    took(&wide(100, &globals), 22, 1800);
    // Once each, and the type's own.
    let again = format!("(elem func {} {})", all(100), all(100));
    let (once, twice) = (
        estimated(&wide(100, &elements)),
        estimated(&wide(100, &again)),
    );
    assert_eq!(once, twice);
    assert!(estimated(&wide(100, "")).1 < 100);
    let few = module(&wide(2000, &format!("(elem func {})", all(2000))));
    // It took 36 s.
    assert_eq!(check(&few, &LIMITS), Ok(()));
    assert!(takes_long(&few, &LIMITS));
    let many = module(&wide(10_000, &format!("(elem func {})", all(10_000))));
    assert!(check(&many, &LIMITS).is_err());
}

#[test]
fn each_type_takes_a_trampoline_once() {
    let types = |first: usize| {
        let types: String = (first..first + 100)
            .map(|index| {
                let bits: String = (0..12)
                    .map(|bit| {
                        if index >> bit & 1 == 1 {
                            "i32 "
                        } else {
                            "i64 "
                        }
                    })
                    .collect();
                format!(
                    "(type (func (param {bits} {}) (result {}))) ",
                    "i32 ".repeat(987),
                    "i32 ".repeat(999)
                )
            })
            .collect();
        types
    };
    took(&format!("(module {})", types(0)), 28, 2100);
    let (once, twice) = (
        estimated(&format!("(module {})", types(0))).1,
        estimated(&format!("(module {} {})", types(0), types(0))).1,
    );
    assert!(twice - once < 2, "{once} ms, {twice} ms");
}

#[test]
fn a_worker_waits_for_what_takes_little_or_is_refused() {
    let blocks = |times| module(&repeated(1000, "(block (type $wide))", times));
    assert!(!takes_long(&blocks(20), &LIMITS));
    assert!(takes_long(&blocks(200), &LIMITS));
    assert!(check(&blocks(2000), &LIMITS).is_err());
    assert!(!takes_long(&blocks(2000), &LIMITS));
}

#[test]
fn the_error_names_the_function_and_the_option() {
    let module = module(&repeated(1000, "(block (type $wide))", 400));
    let limits = Limits {
        memory: 1 << 30,
        ..LIMITS
    };
    let why = check(&module, &limits).expect_err("too much");
    assert!(
        why.starts_with("to compile it would take some 10")
            && why.contains("of them for its function 1, and may take 1024")
            && why.ends_with("(option max_compile_memory)"),
        "{why}"
    );
    let limits = Limits {
        memory: 2 << 30,
        ..LIMITS
    };
    assert_eq!(check(&module, &limits), Ok(()));
    let limits = Limits {
        memory: 2 << 30,
        time_ms: 1500,
    };
    let why = check(&module, &limits).expect_err("too long");
    assert!(
        why.ends_with("for its function 1, and may take 1.5 (option max_compile_time)"),
        "{why}"
    );
}

#[test]
fn of_what_is_not_valid_others_say_so() {
    let limits = Limits {
        memory: 1,
        time_ms: 1,
    };
    for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x0a\x05\x01\x03\0\x20"] {
        assert_eq!(check(bytes, &limits), Ok(()));
    }
    // Types, functions, labels and locals that are not there, an export and an
    // element of functions that are not there.
    for module in [
        &b"\0asm\x01\0\0\0\x03\x02\x01\x07\x0a\x0b\x01\x09\0\x10\x09\x02\x05\x0c\x63\x0b\x0b"[..],
        b"\0asm\x01\0\0\0\x07\x05\x01\x01x\0\x63\x09\x05\x01\x01\0\x01\x63",
    ] {
        assert!(estimate(module).is_ok());
    }
}

#[test]
#[ignore = "prints what compiling the file EFFORT_FILE takes"]
fn measured() {
    let path = std::env::var("EFFORT_FILE").expect("EFFORT_FILE");
    let bytes = std::fs::read(&path).expect("a file");
    let stack = crate::vm::engine::Stack::default();
    crate::vm::engine::engine(stack).expect("an engine");
    let used = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        let peak = peak
            .and_then(|line| line.split_whitespace().nth(1))
            .expect("a peak");
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        let times = stat.rsplit(')').next().expect("times").split_whitespace();
        let ticks: f64 = times
            .skip(11)
            .take(2)
            .map(|time| time.parse::<f64>().expect("ticks"))
            .sum();
        (peak.parse::<f64>().expect("KiB") / 1024.0, ticks / 100.0)
    };
    let estimate = estimate(&bytes).expect("estimated");
    let before = used();
    let made = crate::vm::Module::compile(&bytes, stack);
    let after = used();
    let (bytes, nanos) = (estimate.total.bytes as f64, estimate.total.nanos as f64);
    println!(
        "MEASURED {path}: estimated {:.1} MiB, {:.2} s; took {:.1} MiB, {:.2} s {}",
        bytes / f64::from(1 << 20),
        nanos / 1e9,
        after.0 - before.0,
        after.1 - before.1,
        made.err().unwrap_or_default()
    );
}
