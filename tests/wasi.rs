//! What guests get of WASI, and of the module `env` beside the host functions
//! of the specification.

use std::rc::Rc;
use std::sync::Arc;

use resty_proxy_wasm::abi::limits::{Limits, MAX_RANDOM_BYTES, MAX_WASI_LINE};
use resty_proxy_wasm::abi::property::Encoding;
use resty_proxy_wasm::abi::types::LogLevel;
use resty_proxy_wasm::abi::version::AbiVersion;
use resty_proxy_wasm::context::{Ids, PluginInfo, State};
use resty_proxy_wasm::host::Host;
use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::hostcalls::{Linked, env, wasi};
use resty_proxy_wasm::shared::Shared;
use resty_proxy_wasm::vm::instance::{Prepared, linker};
use resty_proxy_wasm::vm::{Allowance, CpuLimit, ImportKind, Instance, Module, Stack, Trap};

const ALLOWANCE: Allowance = Allowance {
    cpu: CpuLimit {
        ms: 10_000,
        option: "cpu_limit",
    },
    memory: 1 << 20,
    table_elements: 100,
};

const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Every function that answers with a number: its parameters, what it is
/// called with, and its answer. Pointers are 0: there is memory.
const FUNCTIONS: &[(&str, &str, &str, i32)] = &[
    ("args_get", "i32 i32", "0 0", 0),
    ("args_sizes_get", "i32 i32", "0 4", 0),
    ("environ_get", "i32 i32", "0 0", 0),
    ("environ_sizes_get", "i32 i32", "0 4", 0),
    ("clock_res_get", "i32 i32", "0 0", 0),
    ("clock_time_get", "i32 i64 i32", "0 1 0", 0),
    ("clock_time_get", "i32 i64 i32", "1 1 0", 0),
    ("clock_time_get", "i32 i64 i32", "2 1 0", 58),
    ("clock_time_get", "i32 i64 i32", "-1 1 0", 58),
    ("fd_advise", "i32 i64 i64 i32", "3 0 0 0", 0),
    ("fd_allocate", "i32 i64 i64", "1 0 0", 0),
    ("fd_allocate", "i32 i64 i64", "3 0 0", 8),
    ("fd_close", "i32", "2", 0),
    ("fd_datasync", "i32", "2", 0),
    ("fd_datasync", "i32", "0", 8),
    ("fd_fdstat_get", "i32 i32", "0 0", 0),
    ("fd_fdstat_get", "i32 i32", "2 0", 0),
    ("fd_fdstat_get", "i32 i32", "3 0", 8),
    ("fd_fdstat_get", "i32 i32", "-1 0", 8),
    ("fd_fdstat_set_flags", "i32 i32", "1 4", 52),
    ("fd_fdstat_set_rights", "i32 i64 i64", "1 0 0", 0),
    ("fd_fdstat_set_rights", "i32 i64 i64", "3 0 0", 8),
    ("fd_filestat_get", "i32 i32", "1 0", 8),
    ("fd_filestat_set_size", "i32 i64", "1 0", 0),
    ("fd_filestat_set_size", "i32 i64", "3 0", 8),
    ("fd_filestat_set_times", "i32 i64 i64 i32", "1 0 0 0", 0),
    ("fd_filestat_set_times", "i32 i64 i64 i32", "3 0 0 0", 8),
    ("fd_pread", "i32 i32 i32 i64 i32", "3 0 0 0 0", 52),
    ("fd_prestat_get", "i32 i32", "3 0", 8),
    ("fd_prestat_dir_name", "i32 i32 i32", "3 0 0", 52),
    ("fd_pwrite", "i32 i32 i32 i64 i32", "1 0 0 0 0", 0),
    ("fd_pwrite", "i32 i32 i32 i64 i32", "3 0 0 0 0", 8),
    ("fd_read", "i32 i32 i32 i32", "0 0 0 0", 52),
    ("fd_readdir", "i32 i32 i32 i64 i32", "3 0 0 0 0", 20),
    ("fd_renumber", "i32 i32", "1 5", 58),
    ("fd_renumber", "i32 i32", "5 1", 8),
    ("fd_seek", "i32 i64 i32 i32", "1 0 0 0", 0),
    ("fd_sync", "i32", "1", 0),
    ("fd_sync", "i32", "3", 8),
    ("fd_tell", "i32 i32", "1 0", 0),
    ("fd_write", "i32 i32 i32 i32", "1 0 0 0", 0),
    ("fd_write", "i32 i32 i32 i32", "0 0 0 0", 8),
    ("fd_write", "i32 i32 i32 i32", "3 0 0 0", 8),
    ("path_create_directory", "i32 i32 i32", "3 0 0", 58),
    ("path_filestat_get", "i32 i32 i32 i32 i32", "3 0 0 0 0", 58),
    (
        "path_filestat_set_times",
        "i32 i32 i32 i32 i64 i64 i32",
        "3 0 0 0 0 0 0",
        58,
    ),
    (
        "path_link",
        "i32 i32 i32 i32 i32 i32 i32",
        "3 0 0 0 3 0 0",
        58,
    ),
    (
        "path_open",
        "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        "3 0 0 0 0 0 0 0 0",
        44,
    ),
    (
        "path_readlink",
        "i32 i32 i32 i32 i32 i32",
        "3 0 0 0 0 0",
        58,
    ),
    ("path_remove_directory", "i32 i32 i32", "3 0 0", 58),
    ("path_rename", "i32 i32 i32 i32 i32 i32", "3 0 0 3 0 0", 58),
    ("path_symlink", "i32 i32 i32 i32 i32", "0 0 3 0 0", 58),
    ("path_unlink_file", "i32 i32 i32", "3 0 0", 58),
    ("poll_oneoff", "i32 i32 i32 i32", "0 0 1 0", 0),
    ("proc_raise", "i32", "6", 52),
    ("sched_yield", "", "", 0),
    ("random_get", "i32 i32", "0 65536", 0),
    ("random_get", "i32 i32", "0 65537", 28),
    ("sock_accept", "i32 i32 i32", "3 0 0", 58),
    ("sock_recv", "i32 i32 i32 i32 i32 i32", "3 0 0 0 0 0", 58),
    ("sock_send", "i32 i32 i32 i32 i32", "3 0 0 0 0", 58),
    ("sock_shutdown", "i32 i32", "3 0", 58),
];

struct Guest {
    host: Rc<MemoryHost>,
    instance: Instance<State>,
}

/// Compiles and links: what became of each import, in their order.
fn link(wat: &str) -> (Vec<Linked>, Result<Prepared<State>, String>) {
    let module = Module::compile(&wat::parse_str(wat).unwrap(), Stack::default()).unwrap();
    let mut linker = linker::<State>(Stack::default()).unwrap();
    let mut linked = Vec::new();
    for import in module.imports() {
        let ImportKind::Function {
            params, results, ..
        } = &import.kind
        else {
            panic!("{} is no function", import.name);
        };
        let link = if import.module == "env" {
            env::link
        } else {
            wasi::link
        };
        linked.push(link(&mut linker, import.module, import.name, params, results).unwrap());
    }
    (linked, Prepared::new(linker, Arc::new(module)))
}

type Started = Result<Instance<State>, (Trap, State)>;

fn try_guest(wat: &str) -> (Rc<MemoryHost>, Started) {
    let host = Rc::new(MemoryHost::new());
    let plugin = PluginInfo {
        name: b"p".into(),
        root_id: Vec::new(),
        vm_id: Vec::new(),
        abi: AbiVersion::V0_2_1,
        vm_configuration: Vec::new(),
        environment: Vec::new(),
        encoding: Encoding::default(),
        only_text_headers: false,
        upstreams: Rc::default(),
        resume_after_callouts: false,
        limits: Limits::default(),
        ticks_in_one: false,
    };
    let shared = Shared::new(host.store(), None, b"", &Limits::default());
    let state = State::new(host.clone(), Rc::new(plugin), Ids::default(), shared);
    let (linked, prepared) = link(wat);
    assert!(linked.iter().all(|linked| *linked == Linked::Built));
    (host, Instance::new(&prepared.unwrap(), state, ALLOWANCE))
}

fn guest(wat: &str) -> Guest {
    let (host, instance) = try_guest(wat);
    let instance = instance.map_err(|(trap, _)| trap).unwrap();
    Guest { host, instance }
}

impl Guest {
    /// Calls an export that gives an i32.
    fn run(&mut self, name: &str) -> i32 {
        self.try_run(name).unwrap()
    }

    fn try_run(&mut self, name: &str) -> Result<i32, Trap> {
        let callback = self.instance.callback::<(), i32>(name).expect(name);
        self.instance.call(&callback, ())
    }

    fn run_long(&mut self, name: &str) -> u64 {
        let callback = self.instance.callback::<(), u64>(name).expect(name);
        self.instance.call(&callback, ()).unwrap()
    }

    fn flush(&mut self) {
        wasi::flush(self.instance.state());
    }

    /// The lines of the log, without the plugin's name.
    fn logs(&self) -> Vec<(LogLevel, String)> {
        lines(&self.host)
    }
}

fn lines(host: &MemoryHost) -> Vec<(LogLevel, String)> {
    let plain = |line: String| line.replacen("[proxy-wasm] p: ", "", 1);
    let logs = host.logs().into_iter();
    logs.map(|(level, line)| (level, plain(line))).collect()
}

fn info(line: &str) -> (LogLevel, String) {
    (LogLevel::Info, line.to_owned())
}

fn error(line: &str) -> (LogLevel, String) {
    (LogLevel::Error, line.to_owned())
}

/// One export for each row of [`FUNCTIONS`], named after its index.
fn all_functions(module: &str) -> String {
    let mut imports = String::new();
    let mut functions = String::new();
    let mut last = "";
    for (index, (name, params, args, _)) in FUNCTIONS.iter().enumerate() {
        if *name != last {
            imports += &format!(
                "(import \"{module}\" \"{name}\" (func ${name} (param {params}) (result i32)))\n"
            );
            last = name;
        }
        let args: String = params
            .split_whitespace()
            .zip(args.split_whitespace())
            .map(|(ty, arg)| format!("({ty}.const {arg})"))
            .collect();
        functions += &format!("(func (export \"{index}\") (result i32) (call ${name} {args}))\n");
    }
    format!("(module {imports} (memory (export \"memory\") 2) {functions})")
}

#[test]
fn every_function_has_its_own_signature_and_answers_its_number() {
    for module in wasi::MODULES {
        let mut guest = guest(&all_functions(module));
        for (index, (name, _, args, expected)) in FUNCTIONS.iter().enumerate() {
            let answer = guest.run(&index.to_string());
            assert_eq!(answer, *expected, "{module}.{name}({args})");
        }
    }
}

#[test]
fn the_whole_of_preview_1_is_there() {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|row| row.0).collect();
    names.dedup();
    // All but `proc_exit`, which answers nothing.
    assert_eq!(names.len(), 46 - 1);
}

#[track_caller]
fn check_import(import: &str, expected: Linked) {
    let (linked, _) = link(&format!("(module {import})"));
    assert_eq!(linked, [expected]);
}

#[test]
fn other_signatures_and_other_names_are_not_linked() {
    let wrong = [
        r#"(import "wasi_unstable" "fd_close" (func (param i64) (result i32)))"#,
        r#"(import "wasi_unstable" "fd_close" (func (param i32)))"#,
        r#"(import "wasi_unstable" "fd_seek" (func (param i32 i32 i32 i32 i32) (result i32)))"#,
        r#"(import "wasi_unstable" "fd_fdstat_get" (func (param i32 f32) (result i32)))"#,
        r#"(import "wasi_unstable" "proc_exit" (func (param i32) (result i32)))"#,
        r#"(import "env" "abort" (func))"#,
        r#"(import "env" "abort" (func (param i32 i32 i32 i32) (result i32)))"#,
        r#"(import "env" "pthread_equal" (func (param i32) (result i32)))"#,
    ];
    for import in wrong {
        check_import(import, Linked::WrongType);
    }
    let unknown = [
        r#"(import "wasi_unstable" "sock_open" (func (param i32) (result i32)))"#,
        r#"(import "wasi_snapshot_preview2" "fd_close" (func (param i32) (result i32)))"#,
        r#"(import "env" "fd_close" (func (param i32) (result i32)))"#,
    ];
    for import in unknown {
        check_import(import, Linked::Unknown);
    }
}

/// A guest that writes: `pieces` are (fd, text), each an export named after
/// its index that gives the answer of `fd_write`. `written` gives its count.
fn writer(pieces: &[(u32, &str)]) -> Guest {
    let mut body = String::new();
    for (index, (fd, text)) in pieces.iter().enumerate() {
        // An iovec, and behind it what it points to.
        let at = 1024 * (index + 1);
        let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let iov = [(at + 8) as u32, text.len() as u32].map(u32::to_le_bytes);
        let iov: String = iov
            .concat()
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        body += &format!(
            r#"(data (i32.const {at}) "{iov}{escaped}")
            (func (export "{index}") (result i32)
                (call $fd_write (i32.const {fd}) (i32.const {at}) (i32.const 1) (i32.const 0)))
            "#
        );
    }
    guest(&with_fd_write(&body))
}

fn with_fd_write(body: &str) -> String {
    format!(
        r#"(module
            (import "{PREVIEW1}" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            {body}
            (func (export "written") (result i32) (i32.load (i32.const 0))))"#
    )
}

#[test]
fn lines_are_logged_when_they_are_finished() {
    let mut guest = writer(&[
        (1, "one\ntwo\nth"),
        (2, "oh "),
        (1, "ree"),
        (2, "no\n"),
        (1, "\n\n\nfour"),
    ]);
    assert_eq!(guest.run("0"), 0);
    assert_eq!(guest.run("written"), 10);
    assert_eq!(guest.logs(), [info("one"), info("two")]);

    assert_eq!([guest.run("1"), guest.run("2")], [0, 0]);
    assert_eq!(guest.logs().len(), 2);
    guest.run("3");
    assert_eq!(guest.logs()[2..], [error("oh no")]);
    guest.run("4");
    assert_eq!(guest.run("written"), 7);
    assert_eq!(guest.logs()[3..], [info("three")]);

    guest.flush();
    assert_eq!(guest.logs()[4..], [info("four")]);
    guest.flush();
    assert_eq!(guest.logs().len(), 5);
}

#[test]
fn one_write_may_come_from_many_buffers() {
    let mut guest = guest(&with_fd_write(
        r#"(data (i32.const 8)
            "\40\00\00\00\03\00\00\00" "\ff\ff\ff\ff\00\00\00\00" "\43\00\00\00\04\00\00\00")
        (data (i32.const 64) "abcdef\n")
        (func (export "write") (result i32)
            (call $fd_write (i32.const 2) (i32.const 8) (i32.const 3) (i32.const 0)))"#,
    ));
    assert_eq!(guest.run("write"), 0);
    assert_eq!(guest.run("written"), 7);
    assert_eq!(guest.logs(), [error("abcdef")]);
}

#[test]
fn a_line_that_never_ends_is_logged_in_parts() {
    let half = MAX_WASI_LINE / 2;
    let fill = "x".repeat(half);
    let mut guest = guest(&with_fd_write(&format!(
        r#"(data (i32.const 8) "\10\00\00\00\00\04\00\00")
        (data (i32.const 16) "{fill}")
        (func (export "write") (result i32)
            (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))"#
    )));
    assert_eq!(half, 0x400, "the buffer above");
    guest.run("write");
    guest.run("write");
    assert_eq!(guest.logs(), []);
    guest.run("write");
    assert_eq!(guest.logs(), [info(&fill.repeat(2))]);
    guest.flush();
    assert_eq!(guest.logs()[1..], [info(&fill)]);
}

#[test]
fn a_huge_write_is_a_short_one() {
    // 128 KiB of NUL bytes, and twice as many buffers as anyone looks at.
    let mut guest = guest(&with_fd_write(
        r#"(data (i32.const 8) "\00\00\01\00\00\00\02\00")
        (func (export "large") (result i32)
            (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
        (func (export "many") (result i32)
            (call $fd_write (i32.const 1) (i32.const 16) (i32.const 2048) (i32.const 0)))
        (func (export "too many") (result i32)
            (call $fd_write (i32.const 1) (i32.const 16) (i32.const -1) (i32.const 0)))"#,
    ));
    assert_eq!(guest.run("large"), 0);
    assert_eq!(guest.run("written"), 64 << 10);
    assert_eq!(guest.run("many"), 0);
    assert_eq!(guest.run("written"), 0);
    assert_eq!(guest.run("too many"), 0);
}

#[test]
fn a_pointer_outside_the_memory_is_a_fault() {
    let cases = [
        ("args_sizes_get", "i32 i32", "65533 0"),
        ("args_sizes_get", "i32 i32", "0 65533"),
        ("environ_sizes_get", "i32 i32", "-1 0"),
        ("clock_res_get", "i32 i32", "0 65529"),
        ("clock_time_get", "i32 i64 i32", "0 0 65529"),
        ("clock_time_get", "i32 i64 i32", "1 0 -4"),
        ("fd_fdstat_get", "i32 i32", "1 65513"),
        ("fd_seek", "i32 i64 i32 i32", "1 0 0 65529"),
        ("fd_tell", "i32 i32", "1 65529"),
        ("poll_oneoff", "i32 i32 i32 i32", "0 0 1 -1"),
        ("random_get", "i32 i32", "65535 2"),
        ("random_get", "i32 i32", "-1 65536"),
        // where the count goes, the list, what the list points to
        ("fd_write", "i32 i32 i32 i32", "1 8 1 -1"),
        ("fd_write", "i32 i32 i32 i32", "1 65529 1 0"),
        ("fd_write", "i32 i32 i32 i32", "1 -8 -1 0"),
        ("fd_write", "i32 i32 i32 i32", "1 16 1 0"),
        ("fd_write", "i32 i32 i32 i32", "1 24 1 0"),
    ];
    for (name, params, args) in cases {
        let values: String = params
            .split(' ')
            .zip(args.split(' '))
            .map(|(ty, arg)| format!("({ty}.const {arg})"))
            .collect();
        let mut guest = guest(&format!(
            r#"(module
                (import "{PREVIEW1}" "{name}" (func $f (param {params}) (result i32)))
                (memory (export "memory") 1)
                (data (i32.const 8) "\00\01\00\00\03\00\00\00")
                (data (i32.const 16) "\ff\ff\00\00\02\00\00\00")
                (data (i32.const 24) "\00\00\00\00\ff\ff\ff\ff")
                (data (i32.const 256) "hi\n")
                (func (export "run") (result i32) (call $f {values})))"#
        ));
        assert_eq!(guest.run("run"), 21, "{name}({args})");
        assert_eq!(guest.logs(), [], "{name}({args})");
    }
}

#[test]
fn the_outputs_are_terminals_that_cannot_seek() {
    let mut guest = guest(&format!(
        r#"(module
            (import "{PREVIEW1}" "fd_fdstat_get" (func $get (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "type") (result i32)
                (i64.store (i32.const 16) (i64.const -1))
                (drop (call $get (i32.const 1) (i32.const 16)))
                (i32.load (i32.const 16)))
            (func (export "rights") (result i64) (i64.load (i32.const 24)))
            (func (export "inheriting") (result i64) (i64.load (i32.const 32))))"#
    ));
    assert_eq!(guest.run("type"), 2);
    assert_eq!(guest.run_long("rights"), 64);
    assert_eq!(guest.run_long("inheriting"), 0);
}

#[test]
fn there_are_no_arguments_and_no_environment() {
    for name in ["args_sizes_get", "environ_sizes_get"] {
        let mut guest = guest(&format!(
            r#"(module
                (import "{PREVIEW1}" "{name}" (func $sizes (param i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "sizes") (result i64)
                    (i64.store (i32.const 0) (i64.const -1))
                    (drop (call $sizes (i32.const 0) (i32.const 4)))
                    (i64.load (i32.const 0))))"#
        ));
        assert_eq!(guest.run_long("sizes"), 0, "{name}");
    }
}

#[test]
fn success_leaves_no_result_as_it_was() {
    let mut guest = guest(&format!(
        r#"(module
            (import "{PREVIEW1}" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
            (import "{PREVIEW1}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\ff\ff\ff\ff\ff\ff\ff\ff")
            (func (export "offset") (result i64)
                (drop (call $seek (i32.const 1) (i64.const 0) (i32.const 1) (i32.const 0)))
                (i64.load (i32.const 0)))
            (func (export "happened") (result i32)
                (i32.store (i32.const 0) (i32.const 7))
                (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 0)))
                (i32.load (i32.const 0))))"#
    ));
    assert_eq!(guest.run_long("offset"), 0);
    assert_eq!(guest.run("happened"), 0);
}

#[test]
fn clocks_tell_the_time() {
    let mut guest = guest(&format!(
        r#"(module
            (import "{PREVIEW1}" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
            (import "{PREVIEW1}" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "real") (result i64)
                (drop (call $time (i32.const 0) (i64.const 0) (i32.const 3)))
                (i64.load (i32.const 3)))
            (func (export "monotonic") (result i64)
                (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
                (i64.load (i32.const 0)))
            (func (export "resolution") (result i64)
                (drop (call $resolution (i32.const 1) (i32.const 0)))
                (i64.load (i32.const 0))))"#
    ));
    let since = || {
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_nanos() as u64
    };
    let before = since();
    let real = guest.run_long("real");
    assert!((before..=since()).contains(&real));

    let first = guest.run_long("monotonic");
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = guest.run_long("monotonic");
    assert!(first > 0, "Go does not start at 0");
    assert!(second >= first + 2_000_000, "{first} {second}");
    assert_eq!(guest.run_long("resolution"), 1);
}

#[test]
fn random_bytes_are_random_and_go_nowhere_else() {
    let mut guest = guest(&format!(
        r#"(module
            (import "{PREVIEW1}" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func (export "random") (result i64)
                (drop (call $random (i32.const 8) (i32.const 8)))
                (i64.load (i32.const 8)))
            (func (export "before") (result i64) (i64.load (i32.const 0)))
            (func (export "after") (result i64) (i64.load (i32.const 16)))
            (func (export "none") (result i32) (call $random (i32.const -1) (i32.const 0)))
            (func (export "most") (result i32)
                (call $random (i32.const 0) (i32.const {MAX_RANDOM_BYTES}))))"#
    ));
    assert_ne!(guest.run_long("random"), guest.run_long("random"));
    assert_eq!(guest.run_long("before"), 0);
    assert_eq!(guest.run_long("after"), 0);
    assert_eq!(guest.run("none"), 0);
    assert_eq!(guest.run("most"), 0);
}

#[test]
fn an_exit_ends_the_guest_call_with_its_status() {
    for status in [0, 3, -1] {
        let mut guest = guest(&format!(
            r#"(module
                (import "{PREVIEW1}" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "run") (result i32) (call $exit (i32.const {status})) unreachable))"#
        ));
        let trap = guest.try_run("run").unwrap_err();
        assert_eq!(trap.exit, Some(status), "{}", trap.message);
    }
}

#[test]
fn a_module_that_starts_can_already_write() {
    let (host, instance) = try_guest(&with_fd_write(
        r#"(data (i32.const 8) "\10\00\00\00\03\00\00\00hi\n")
        (func $start
            (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))))
        (start $start)"#,
    ));
    assert!(instance.is_ok());
    assert_eq!(lines(&host), [info("hi")]);
}

#[test]
fn an_exit_while_a_module_starts_keeps_what_it_wrote() {
    let (host, instance) = try_guest(
        r#"(module
            (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "\10\00\00\00\03\00\00\00bye")
            (func $start
                (drop (call $fd_write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 0)))
                (call $exit (i32.const 1)))
            (start $start))"#,
    );
    let (trap, mut state) = instance.err().expect("it exits");
    assert_eq!(trap.exit, Some(1));
    wasi::flush(&mut state);
    assert_eq!(lines(&host), [error("bye")]);
}

#[test]
fn a_guest_without_memory_gets_faults() {
    let mut guest = guest(&format!(
        r#"(module
            (import "{PREVIEW1}" "random_get" (func $random (param i32 i32) (result i32)))
            (func (export "run") (result i32) (call $random (i32.const 0) (i32.const 0))))"#
    ));
    assert_eq!(guest.run("run"), 21);
}

/// A string as AssemblyScript has it: its length, then UTF-16.
fn assembly_script(text: &str) -> String {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = [&(units.len() as u32).to_le_bytes(), units.as_slice()].concat();
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

#[track_caller]
fn check_abort(message: &str, file: &str, expected: &str) {
    let mut guest = guest(&format!(
        r#"(module
            (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 60) "{}")
            (data (i32.const 1020) "{}")
            (data (i32.const 2044) "\ff\ff\ff\ff")
            (data (i32.const 8188) "\00\d0\00\00")
            (func (export "run") (result i32)
                (call $abort (i32.const {message}) (i32.const {file}) (i32.const 7) (i32.const 9))
                unreachable))"#,
        assembly_script("größer \u{1f642}"),
        assembly_script("assembly/index.ts"),
    ));
    let trap = guest.try_run("run").unwrap_err();
    assert_eq!(trap.exit, None);
    assert!(trap.message.starts_with("the guest aborted"));
    assert_eq!(guest.logs(), [error(expected)]);
}

#[test]
fn abort_says_where_and_why() {
    check_abort(
        "64",
        "1024",
        "abort: größer \u{1f642} at assembly/index.ts:7:9",
    );
    // null, outside the memory, no length before it
    check_abort("0", "1024", "abort:  at assembly/index.ts:7:9");
    check_abort("-1", "3", "abort:  at :7:9");
    check_abort("65536", "65540", "abort:  at :7:9");
    // No more than a line of it.
    let cut = "\\x00".repeat(MAX_WASI_LINE / 2);
    check_abort("8192", "0", &format!("abort: {cut} at :7:9"));
    check_abort("2048", "0", &format!("abort: {cut} at :7:9"));
}

#[test]
fn compilers_find_their_functions() {
    let mut guest = guest(
        r#"(module
            (import "env" "pthread_equal" (func $equal (param i32 i32) (result i32)))
            (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
            (memory (export "memory") 1)
            (func (export "same") (result i32) (call $equal (i32.const 5) (i32.const 5)))
            (func (export "other") (result i32)
                (call $grown (i32.const 0))
                (call $equal (i32.const 5) (i32.const 6))))"#,
    );
    assert_eq!(guest.run("same"), 1);
    assert_eq!(guest.run("other"), 0);
}
