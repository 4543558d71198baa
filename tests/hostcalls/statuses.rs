//! Every host function and every failure of it: what it answers is what the
//! SDKs survive. The Rust SDK panics on a status that it does not expect, and
//! the Go SDK on any but OK of metrics; a panic ends the instance, and all of
//! its requests with it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use resty_proxy_wasm::host::Host;
use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::host::store::{self, HeapStore, Store};
use resty_proxy_wasm::hostcalls::{Row, TABLE};
use resty_proxy_wasm::plugin::{Capabilities, Options};

use super::blocks;
use super::failures::{Except::*, FAILURES, IN_NGINX, Where, Where::*};
use crate::{Arg, FUNCTIONS, Run, STATUSES, Wat, parse};

/// What each SDK accepts of a function, as its sources have it; `None`: it does
/// not call it.
struct Accepts {
    function: &'static str,
    /// Rust 0.1.0 to 0.1.4.
    rust_0_1: Option<&'static [u8]>,
    /// Rust 0.2.0.
    rust_0_2: Option<&'static [u8]>,
    /// Rust 0.2.5.
    rust_new: Option<&'static [u8]>,
    go: Option<&'static [u8]>,
}

const OK: Option<&[u8]> = Some(&[0]);
/// It gives its caller an error.
const ANY: Option<&[u8]> = Some(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

const fn same(function: &'static str, rust: &'static [u8]) -> Accepts {
    Accepts {
        function,
        rust_0_1: Some(rust),
        rust_0_2: Some(rust),
        rust_new: Some(rust),
        go: ANY,
    }
}

/// A metric: where the Go SDK panics.
const fn metric(function: &'static str, rust: &'static [u8]) -> Accepts {
    Accepts {
        go: OK,
        ..same(function, rust)
    }
}

const fn only_0_1(function: &'static str) -> Accepts {
    Accepts {
        rust_0_2: None,
        rust_new: None,
        ..same(function, &[0])
    }
}

const fn since_0_2(function: &'static str) -> Accepts {
    Accepts {
        rust_0_1: None,
        ..same(function, &[0])
    }
}

/// C++ and AssemblyScript have these; what they do with a status is the
/// plugin's choice.
const fn of_others(function: &'static str) -> Accepts {
    Accepts {
        function,
        rust_0_1: None,
        rust_0_2: None,
        rust_new: None,
        go: None,
    }
}

const SDKS: &[Accepts] = &[
    same("proxy_log", &[0]),
    since_0_2("proxy_get_log_level"),
    same("proxy_get_current_time_nanoseconds", &[0]),
    same("proxy_set_tick_period_milliseconds", &[0]),
    same("proxy_get_buffer_bytes", &[0, 1]),
    same("proxy_set_buffer_bytes", &[0]),
    of_others("proxy_get_buffer_status"),
    only_0_1("proxy_get_configuration"),
    same("proxy_get_header_map_pairs", &[0]),
    same("proxy_set_header_map_pairs", &[0]),
    of_others("proxy_get_header_map_size"),
    Accepts {
        rust_0_1: OK,
        ..same("proxy_get_header_map_value", &[0, 1])
    },
    same("proxy_add_header_map_value", &[0]),
    same("proxy_replace_header_map_value", &[0]),
    same("proxy_remove_header_map_value", &[0]),
    Accepts {
        rust_new: Some(&[0, 1, 3, 10]),
        ..same("proxy_get_property", &[0, 1])
    },
    same("proxy_set_property", &[0]),
    since_0_2("proxy_continue_stream"),
    only_0_1("proxy_continue_request"),
    only_0_1("proxy_continue_response"),
    since_0_2("proxy_close_stream"),
    only_0_1("proxy_clear_route_cache"),
    same("proxy_send_local_response", &[0]),
    same("proxy_http_call", &[0, 2, 10]),
    same("proxy_grpc_call", &[0, 4, 10]),
    same("proxy_grpc_stream", &[0, 4, 10]),
    same("proxy_grpc_send", &[0, 1, 2]),
    same("proxy_grpc_cancel", &[0, 1]),
    same("proxy_grpc_close", &[0, 1]),
    same("proxy_get_status", &[0]),
    same("proxy_get_shared_data", &[0, 1]),
    same("proxy_set_shared_data", &[0, 8]),
    same("proxy_register_shared_queue", &[0]),
    same("proxy_resolve_shared_queue", &[0, 1]),
    same("proxy_dequeue_shared_queue", &[0, 1, 7]),
    same("proxy_enqueue_shared_queue", &[0, 1]),
    metric("proxy_define_metric", &[0]),
    metric("proxy_increment_metric", &[0, 1, 2]),
    metric("proxy_record_metric", &[0, 1]),
    metric("proxy_get_metric", &[0, 1, 2]),
    same("proxy_set_effective_context", &[0, 2]),
    same("proxy_done", &[0]),
    Accepts {
        rust_0_1: None,
        rust_0_2: Some(&[0, 1]),
        ..same("proxy_call_foreign_function", &[0, 1, 2, 3, 10])
    },
];

/// Another worker has been stopped in the middle of a change: of those that one at
/// a time may make, `left` are made, and no more.
struct StoppedStore {
    entries: HeapStore,
    left: Cell<u32>,
}

impl Store for StoppedStore {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, store::Full> {
        // Who makes this entry may change what it names.
        if name.starts_with(b"C") {
            let Some(left) = self.left.get().checked_sub(1) else {
                return Ok(false);
            };
            self.left.set(left);
        }
        self.entries.add(name, value)
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        self.entries.get(name, value)
    }

    fn remove(&self, name: &[u8]) {
        self.entries.remove(name);
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, store::Full> {
        self.entries.add_number(name, number)
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), store::Full> {
        self.entries.set_number(name, number)
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        self.entries.number(name)
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        self.entries.increment(name, by)
    }
}

/// What calls answer.
fn all_answers(place: Where, calls: &[&str]) -> Vec<String> {
    let callback = match place {
        Root => "proxy_on_configure",
        Body => "proxy_on_request_body",
        ResponseBody => "proxy_on_response_body",
        Log => "proxy_on_log",
        _ => "proxy_on_request_headers",
    };
    let mut options = Options::default();
    let limits = &mut options.limits;
    limits.written_body = 8;
    limits.callouts = 1;
    limits.log_lines = u32::MAX;
    match place {
        Small => {
            limits.callouts = 9;
            limits.callout_bytes = 64;
            (limits.shared_key, limits.shared_value) = (4, 4);
        }
        Poor => limits.shared_bytes = Some(4096),
        Denied => {
            let names = ["proxy_log", callback].map(|name| name.as_bytes().to_vec());
            options.capabilities = Capabilities::only(names.into()).unwrap();
        }
        _ => {}
    }
    let host = MemoryHost::new();
    let store: Option<Rc<dyn Store>> = match place {
        Full => {
            let store = HeapStore::with_room(1);
            store.add(b"all there may be", b"").unwrap();
            Some(Rc::new(store))
        }
        Room(entries) => Some(Rc::new(HeapStore::with_room(entries))),
        Stopped(left) => Some(Rc::new(StoppedStore {
            entries: HeapStore::default(),
            left: Cell::new(left),
        })),
        _ => None,
    };
    host.set_store(store);
    let wat = Wat {
        allocates: place != NoAllocator,
        pages: if place == Huge { 1024 } else { 4 },
        ..Wat::new(callback, calls)
    };
    let mut run = Run::with(host, &wat, options);
    if place != Root {
        run.request();
    }
    let answers = run.answers();
    assert_eq!(answers.len(), calls.len(), "{calls:?}: {answers:?}");
    answers
}

/// The calls of a row.
fn calls_of(calls: &str) -> Vec<String> {
    let calls = calls.replace("LONG", &"l".repeat(1025));
    let calls = calls.split(';').flat_map(|call| {
        let times = call
            .split_once('*')
            .map(|(times, call)| (times.parse(), call));
        match times {
            Some((Ok(times), call)) => vec![call.to_owned(); times],
            _ => vec![call.to_owned()],
        }
    });
    calls.collect()
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').next().unwrap()
}

/// The function that a row is about.
fn function_of(calls: &str) -> &str {
    let last = calls.rsplit(';').next().unwrap();
    parse(last.trim_start_matches(|c: char| c.is_ascii_digit() || c == '*')).0
}

/// By its name or another one.
fn row_of(name: &str) -> Option<&'static Row> {
    let is = |row: &&Row| row.name == name || row.aliases.contains(&name);
    TABLE.iter().find(is)
}

/// True for a failure that has a row: of the function, or of all.
pub fn is_listed(function: &str, status: &str) -> bool {
    let Some(row) = row_of(function) else {
        return true;
    };
    let is_own = |place: &Where| !matches!(place, NoAllocator | Denied);
    let mut failures = FAILURES.iter();
    let mut in_nginx = IN_NGINX.iter();
    status == "OK"
        || (status == "UNIMPLEMENTED" && !row.built)
        || failures.any(|(place, calls, answers, _)| {
            *answers == status && is_own(place) && function_of(calls) == row.name
        })
        || in_nginx.any(|(name, answers, ..)| *name == row.name && *answers == status)
        // `pointers_outside_the_memory_are_invalid_in_every_place` drives these.
        || (status == "INVALID_MEMORY_ACCESS" && FUNCTIONS.iter().any(|call| {
            let (name, args) = parse(call);
            name == row.name && args.iter().any(|arg| !matches!(arg, Arg::Number(_) | Arg::Long(_)))
        }))
}

#[test]
fn every_failure_is_answered_as_sdks_survive_it() {
    // Nobody is there who could call it.
    // SAFETY: a string.
    unsafe { resty_proxy_wasm::capi::rpw_foreign_register(c"of Lua".as_ptr(), 6, 1) };
    let mut used = Vec::new();
    for (place, calls, expected, except) in FAILURES {
        let all = calls_of(calls);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let answers = all_answers(*place, &all);
        let got = status_of(answers.last().unwrap());
        assert_eq!(got, *expected, "{place:?}: {calls}: {answers:?}");

        let function = function_of(calls);
        let sdk = SDKS.iter().find(|sdk| sdk.function == function);
        let sdk = sdk.unwrap_or_else(|| panic!("{function} wants a row in SDKS"));
        let status = STATUSES.iter().position(|name| *name == got).unwrap() as u8;
        let all = [sdk.rust_0_1, sdk.rust_0_2, sdk.rust_new, sdk.go];
        // ABI 0.1.0 gets OK for a header that is not there: see the test of that.
        let skip = usize::from(function == "proxy_get_header_map_value");
        let survived = all[skip..]
            .iter()
            .flatten()
            .all(|accepted| accepted.contains(&status));
        match except {
            None => assert!(survived, "{place:?}: {calls} = {got}"),
            // Where all survive there is no exception.
            Some(_) => assert!(!survived, "{place:?}: {calls} = {got} is survived"),
        }
        used.extend(except);
    }
    for except in [
        NoSdkDoes,
        MetricsGo,
        ForeignRust,
        NoMemory,
        Forbidden,
        Stubborn,
    ] {
        assert!(used.contains(&except), "{except:?}");
    }
}

#[test]
fn failures_that_only_nginx_drives_have_a_block_that_does() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (function, status, file, title, line) in IN_NGINX {
        assert!(row_of(function).is_some(), "{function}");
        assert!(line.ends_with(&format!(" = {status}")), "{line}");
        let blocks = blocks::read(&top.join(file));
        let block = blocks.iter().find(|block| block.name.ends_with(title));
        let block = block.unwrap_or_else(|| panic!("{file} has no block \"{title}\""));
        assert!(block.wants(line), "{file} \"{title}\" does not want {line}");
    }
}

#[test]
fn every_function_has_a_row_and_a_failure() {
    for row in TABLE.iter().filter(|row| row.built) {
        let has = SDKS.iter().any(|sdk| sdk.function == row.name);
        assert!(has, "{} wants a row in SDKS", row.name);
        let driven = FAILURES
            .iter()
            .any(|(_, calls, ..)| function_of(calls) == row.name);
        assert!(driven, "{} wants a row in FAILURES", row.name);
    }
    assert_eq!(SDKS.len(), TABLE.iter().filter(|row| row.built).count());
}

#[test]
fn what_the_operator_forbids_answers_internal_failure_whatever_it_is() {
    let calls = functions_but_log();
    for (call, answer) in calls.iter().zip(all_answers(Denied, &calls)) {
        assert_eq!(answer, "INTERNAL_FAILURE", "{call}");
    }
}

#[test]
fn while_the_guest_starts_or_allocates_it_may_only_log() {
    let calls = functions_but_log();
    for callback in ["_initialize", "malloc"] {
        let run = Run::new(&Wat::new(callback, &calls));
        let answers = run.answers();
        assert_eq!(answers.len(), calls.len(), "{callback}");
        for (call, answer) in calls.iter().zip(answers) {
            assert_eq!(answer, "INTERNAL_FAILURE", "{callback}: {call}");
        }
    }
}

/// What a guest of these tests logs are its answers.
fn functions_but_log() -> Vec<&'static str> {
    let functions = FUNCTIONS.iter().copied();
    functions
        .filter(|call| parse(call).0 != "proxy_log")
        .collect()
}

/// A function that fails in a way of its own wants a row above: here each is
/// called with whatever there is, wherever it may be called.
#[test]
fn no_function_fails_in_a_way_that_has_no_row() {
    const NUMBERS: &[&str] = &[
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "200",
        "404",
        "1000",
        "0x7fffffff",
        "-1",
    ];
    const LONGS: &[&str] = &["0L", "1L", "-1L", "0x7fffffffffffffffL"];
    const TEXTS: &[&str] = &[
        "",
        "x",
        "q",
        "vm",
        "MAP",
        "h:1",
        "mine",
        "host",
        ":path",
        ":status",
        "none",
        "\\00",
        "a\\0ab",
        "request\\00path",
        "request\\00headers",
        "ngx\\00var",
        "plugin_name",
        "compress",
        "uncompress",
        "resolve",
        "sign",
        "verify_signature",
        "declare_property",
        "\\0a\\01x",
        "\\ff",
        "/a?b",
        "/../..",
        "\\01\\00\\00\\00",
    ];
    let mut calls = Vec::new();
    for function in functions_but_log() {
        let (name, args) = parse(function);
        let words: Vec<String> = args.iter().map(Arg::to_string).collect();
        for (index, arg) in args.iter().enumerate() {
            let others = match arg {
                Arg::Number(_) => NUMBERS,
                Arg::Long(_) => LONGS,
                Arg::Text(_) => TEXTS,
                _ => continue,
            };
            for other in others {
                let mut words = words.clone();
                words[index] = match arg {
                    Arg::Text(_) => format!("\"{other}\""),
                    _ => (*other).to_owned(),
                };
                calls.push(format!("{name} {}", words.join(" ")));
            }
        }
    }
    assert!(calls.len() > 1000, "{}", calls.len());
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    for place in [
        Request,
        Root,
        Body,
        ResponseBody,
        Log,
        Small,
        Poor,
        Full,
        Stopped(3),
    ] {
        for calls in calls.chunks(250) {
            for (call, answer) in calls.iter().zip(all_answers(place, calls)) {
                let (function, status) = (parse(call).0, status_of(&answer));
                assert!(is_listed(function, status), "{place:?}: {call} = {status}");
            }
        }
    }
}

/// Statuses that a file has from below and tells guests as another, or that it
/// gives as a value.
const TOLD_AS_ANOTHER: &[(&str, &[&str])] = &[
    ("callouts", &["BrokenConnection"]),
    ("metrics", &["InternalFailure"]),
    ("shared_data", &["BadArgument"]),
    ("shared_queues", &["BadArgument", "InternalFailure"]),
];

/// Where a new one is written, before anything drives it.
#[test]
fn every_status_in_a_source_has_a_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hostcalls");
    let table = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
    let mut seen = 0;
    for row in TABLE.iter().filter(|row| row.built) {
        let (_, rest) = table.split_once(&format!("\"{}\"", row.name)).unwrap();
        let (_, rest) = rest.split_once("{ ").unwrap();
        let (section, _) = rest.split_once("::").unwrap();
        let mut found = Vec::new();
        for name in STATUSES {
            let sections = TABLE.iter().filter(|other| other.section == row.section);
            let mut functions = sections.map(|other| other.name);
            if functions.any(|function| is_listed(function, name)) {
                found.push(name.replace('_', ""));
            }
        }
        let (_, other) = TOLD_AS_ANOTHER
            .iter()
            .find(|(file, _)| *file == section)
            .unwrap_or(&("", &[]));
        for file in sources_of(&folder, section) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            // Not `TINFLStatus::`.
            for (at, _) in code
                .match_indices(" Status::")
                .chain(code.match_indices("(Status::"))
            {
                let part = &code[at + " Status::".len()..];
                let end = part.find(|c: char| !c.is_alphanumeric()).unwrap();
                let status = &part[..end];
                let known = found.iter().any(|name| name.eq_ignore_ascii_case(status));
                let file = file.display();
                assert!(
                    known || other.contains(&status) || part.starts_with("Ok"),
                    "{file}: {status} wants a row in FAILURES"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

/// The file of a section of the table, and those that only it uses.
fn sources_of(folder: &Path, section: &str) -> Vec<PathBuf> {
    let mut files = vec![folder.join(format!("{section}.rs"))];
    let own: &[&str] = match section {
        "headers" => &["pseudo.rs", "trailers.rs"],
        _ => &[],
    };
    files.extend(own.iter().map(|name| folder.join(name)));
    if let Ok(entries) = std::fs::read_dir(folder.join(section)) {
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files
}
