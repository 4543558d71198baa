//! Host functions on the in-memory host: the blocks of t/hostcalls
//! (`hostcalls/table.rs`), and here what holds for all functions and every
//! argument. Each case here is a guest made for it, which calls the function
//! and logs what it got.
//!
//! A call is written `function argument…`: a number is itself, `"text"` is its
//! address and size, `*` is where a u32 goes, `**` where the address and the
//! size of bytes go, `#` where a u64 goes; `5L` is a 64-bit number. What comes
//! back is the status and, when it is OK, the outputs: bytes as text, numbers
//! as their bytes in the log's escapes.

mod hostcalls {
    mod blocks;
    mod content;
    mod failures;
    mod perl;
    mod proxy;
    mod statuses;
    mod table;
}

use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use resty_proxy_wasm::abi::types::LogLevel;
use resty_proxy_wasm::callout::Upstreams;
use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::{Phase, Request};
use resty_proxy_wasm::hostcalls::TABLE;
use resty_proxy_wasm::plugin::{Options, Plugin};

const STATUSES: [&str; 13] = [
    "OK",
    "NOT_FOUND",
    "BAD_ARGUMENT",
    "SERIALIZATION_FAILURE",
    "PARSE_FAILURE",
    "BAD_EXPRESSION",
    "INVALID_MEMORY_ACCESS",
    "EMPTY",
    "CAS_MISMATCH",
    "RESULT_MISMATCH",
    "INTERNAL_FAILURE",
    "BROKEN_CONNECTION",
    "UNIMPLEMENTED",
];

/// Every function that is built, called as it is meant.
const FUNCTIONS: &[&str] = &[
    r#"proxy_log 2 "x""#,
    "proxy_get_log_level *",
    "proxy_get_current_time_nanoseconds #",
    "proxy_set_tick_period_milliseconds 0",
    "proxy_get_buffer_bytes 7 0 100 **",
    "proxy_get_buffer 7 0 100 **",
    r#"proxy_set_buffer_bytes 0 0 0 "x""#,
    r#"proxy_set_buffer 0 0 0 "x""#,
    "proxy_get_buffer_status 7 * *",
    "proxy_get_configuration **",
    "proxy_get_header_map_pairs 0 **",
    r#"proxy_set_header_map_pairs 0 "\00\00\00\00""#,
    "proxy_get_header_map_size 0 *",
    r#"proxy_get_header_map_value 0 "host" **"#,
    r#"proxy_add_header_map_value 0 "x-a" "1""#,
    r#"proxy_replace_header_map_value 0 "x-a" "1""#,
    r#"proxy_remove_header_map_value 0 "x-a""#,
    r#"proxy_get_property "plugin_name" **"#,
    r#"proxy_set_property "mine" "x""#,
    "proxy_continue_stream 0",
    "proxy_continue_request",
    "proxy_resume_http_request",
    "proxy_continue_response",
    "proxy_resume_http_response",
    "proxy_close_stream 0",
    "proxy_clear_route_cache",
    r#"proxy_send_local_response 200 "details" "body" "\00\00\00\00" -1"#,
    r#"proxy_send_http_response 200 "details" "body" "\00\00\00\00" -1"#,
    r#"proxy_http_call "h" "MAP" "body" "\00\00\00\00" 100 *"#,
    r#"proxy_dispatch_http_call "h" "MAP" "body" "\00\00\00\00" 100 *"#,
    r#"proxy_grpc_call "u" "s" "m" "MAP" "message" 100 *"#,
    r#"proxy_grpc_stream "u" "s" "m" "MAP" *"#,
    r#"proxy_grpc_send 1 "message" 0"#,
    "proxy_grpc_cancel 1",
    "proxy_grpc_close 1",
    "proxy_get_status * **",
    r#"proxy_get_shared_data "key" ** *"#,
    r#"proxy_set_shared_data "key" "value" 0"#,
    r#"proxy_register_shared_queue "queue" *"#,
    r#"proxy_resolve_shared_queue "vm" "queue" *"#,
    "proxy_dequeue_shared_queue 1 **",
    r#"proxy_enqueue_shared_queue 1 "value""#,
    r#"proxy_define_metric 0 "hits" *"#,
    "proxy_increment_metric 1 1L",
    "proxy_record_metric 1 1L",
    "proxy_get_metric 1 #",
    "proxy_set_effective_context 1",
    "proxy_done",
    r#"proxy_call_foreign_function "compress" "x" **"#,
];

/// `:method`, `:path` and `:authority`, serialized.
const MAP: &str = concat!(
    r"\03\00\00\00",
    r"\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00",
    r":method\00GET\00:path\00/\00:authority\00h\00"
);

#[derive(Clone, Debug, PartialEq)]
enum Arg {
    Number(String),
    Long(String),
    Text(String),
    U32,
    U64,
    Bytes,
}

impl std::fmt::Display for Arg {
    /// As it is written.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Arg::Number(number) => f.write_str(number),
            Arg::Long(number) => write!(f, "{number}L"),
            Arg::Text(text) => write!(f, "\"{text}\""),
            Arg::U32 => f.write_str("*"),
            Arg::U64 => f.write_str("#"),
            Arg::Bytes => f.write_str("**"),
        }
    }
}

fn parse(call: &str) -> (&str, Vec<Arg>) {
    let (name, mut rest) = call.split_once(' ').unwrap_or((call, ""));
    let mut args = Vec::new();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(text) => {
                let (text, after) = text.split_once('"').expect("a quote is closed");
                let text = if text == "MAP" { MAP } else { text };
                args.push(Arg::Text(text.to_owned()));
                ("", after.trim_start())
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        rest = after;
        match word {
            "" => {}
            "*" => args.push(Arg::U32),
            "#" => args.push(Arg::U64),
            "**" => args.push(Arg::Bytes),
            _ => args.push(match word.strip_suffix('L') {
                Some(long) => Arg::Long(long.to_owned()),
                None => Arg::Number(word.to_owned()),
            }),
        }
    }
    (name, args)
}

/// Bytes of a WAT string.
fn text_len(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

/// A module that makes `calls` in a callback of this name and type.
struct Wat<'a> {
    abi: &'a str,
    callback: &'a str,
    calls: &'a [&'a str],
    /// False: its allocator has no memory.
    allocates: bool,
    /// Pages of its memory.
    pages: u32,
}

impl<'a> Wat<'a> {
    fn new(callback: &'a str, calls: &'a [&'a str]) -> Self {
        Wat {
            abi: "0_2_1",
            callback,
            calls,
            allocates: true,
            pages: 4,
        }
    }

    fn source(&self) -> String {
        let mut imports = BTreeMap::new();
        let (mut data, mut body) = (String::new(), String::new());
        // Strings from here on; outputs below, the allocator's memory above.
        let mut at = 4096;
        for call in self.calls {
            let (name, args) = parse(call);
            let (mut types, mut values, mut shows) = (String::new(), String::new(), String::new());
            let mut cell = 64;
            for arg in &args {
                let i32s: &[usize] = match arg {
                    Arg::Long(number) => {
                        types += "i64 ";
                        write!(values, "(i64.const {number})").unwrap();
                        continue;
                    }
                    Arg::Number(number) => {
                        types += "i32 ";
                        write!(values, "(i32.const {number})").unwrap();
                        continue;
                    }
                    Arg::Text(text) => {
                        writeln!(data, "(data (i32.const {at}) \"{text}\")").unwrap();
                        at += text_len(text);
                        &[at - text_len(text), text_len(text)]
                    }
                    Arg::U32 | Arg::U64 => {
                        let size = if *arg == Arg::U32 { 4 } else { 8 };
                        let show = format!("(i32.const {cell}) (i32.const {size})");
                        writeln!(shows, "(drop (call $log (i32.const 2) {show}))").unwrap();
                        cell += 8;
                        &[cell - 8]
                    }
                    Arg::Bytes => {
                        let load = |at| format!("(i32.load (i32.const {at}))");
                        let show = format!("{} {}", load(cell), load(cell + 4));
                        writeln!(shows, "(drop (call $log (i32.const 2) {show}))").unwrap();
                        cell += 8;
                        &[cell - 8, cell - 4]
                    }
                };
                for value in i32s {
                    types += "i32 ";
                    write!(values, "(i32.const {value})").unwrap();
                }
            }
            imports.insert(name, types);
            write!(
                body,
                "(memory.fill (i32.const 64) (i32.const 0) (i32.const 64))
                (i32.store8 (i32.const 0) (i32.add (i32.const 65) (call ${name} {values})))
                (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1)))
                {shows}
                (drop (call $log (i32.const 2) (i32.const 1) (i32.const 1)))"
            )
            .unwrap();
        }
        let imports: String = imports
            .iter()
            .map(|(name, types)| {
                format!("(import \"env\" \"{name}\" (func ${name} (param {types}) (result i32)))\n")
            })
            .collect();
        let (params, result) = match self.callback {
            "_initialize" => ("", ""),
            "malloc" => ("i32", "i32"),
            "proxy_on_log" => ("i32", ""),
            "proxy_on_configure" | "proxy_on_response_trailers" => ("i32 i32", "i32"),
            _ => ("i32 i32 i32", "i32"),
        };
        let returned = match self.callback {
            "proxy_on_configure" => "(i32.const 1)",
            "malloc" => "(i32.const 65536)",
            "proxy_on_log" | "_initialize" => "",
            _ => "(i32.const 0)",
        };
        let abi = self.abi;
        let callback = self.callback;
        let heap = if self.allocates { 65536 } else { 0 };
        let pages = self.pages;
        // One that makes the calls itself is asked for memory once.
        let allocator = match callback {
            "malloc" => {
                "proxy_on_configure\") (param i32 i32) (result i32)
                (call $ask (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 68))
                (i32.add (i32.const 1))"
            }
            _ => {
                "malloc\") (param $size i32) (result i32)
                (global.get $heap)
                (if (global.get $heap)
                    (then (global.set $heap (i32.add (global.get $heap) (local.get $size)))))"
            }
        };
        let result = if result.is_empty() {
            ""
        } else {
            "(result i32)"
        };
        format!(
            r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_buffer" (func $ask (param i32 i32 i32 i32 i32) (result i32)))
            {imports}
            (func (export "proxy_abi_version_{abi}"))
            (memory (export "memory") {pages})
            (data (i32.const 1) ";")
            {data}
            (global $heap (mut i32) (i32.const {heap}))
            (func (export "{allocator})
            (func (export "{callback}") (param {params}) {result} {body} {returned}))"#
        )
    }
}

struct Run {
    host: Rc<MemoryHost>,
    plugin: Plugin,
    root: u32,
    request: Request,
}

impl Run {
    fn new(wat: &Wat) -> Self {
        Self::with(MemoryHost::new(), wat, Options::default())
    }

    fn with(host: MemoryHost, wat: &Wat, options: Options) -> Self {
        let host = Rc::new(host);
        let bytes = wat::parse_str(wat.source()).unwrap();
        let options = Options {
            upstreams: Rc::new(Upstreams::read(b"", b"*").unwrap()),
            ..options
        };
        let mut plugin = Plugin::load(host.clone(), b"p", &bytes, options).unwrap();
        let root = plugin.add_root(b"conf", false).unwrap();
        let request = host.add_request(MemoryRequest {
            uri: b"/path?query".into(),
            headers: vec![
                (b"host".into(), b"localhost".into()),
                (b"x-one".into(), b"1".into()),
            ],
            response_status: 200,
            response_headers: vec![
                (b"x-two".into(), b"2".into()),
                (b"trailer".into(), b"X-End, x-none".into()),
            ],
            response_chunk: (b"chunk".into(), true),
            variables: [
                (b"var".to_vec(), b"value".to_vec()),
                (b"sent_trailer_x_end".to_vec(), b"yes".to_vec()),
                (b"proxy_wasm_trailer_x_own".to_vec(), Vec::new()),
            ]
            .into(),
            ..MemoryRequest::default()
        });
        Run {
            host,
            plugin,
            root,
            request,
        }
    }

    /// All phases of a request, as Lua goes through them.
    fn request(&mut self) {
        let (root, request) = (self.root, self.request);
        let phase = |phase| self.host.with(request, |found| found.phase = phase);
        self.plugin.request_headers(root, request).unwrap();
        self.plugin
            .request_body(root, request, b"body", true)
            .unwrap();
        phase(Phase::HeaderFilter);
        if self
            .plugin
            .response_headers(root, request)
            .unwrap()
            .response_headers
        {
            let mut headers = resty_proxy_wasm::abi::HeaderList::new();
            headers.push(b"x-two", b"2");
            self.plugin
                .hand_response_headers(root, request, headers)
                .unwrap();
            self.plugin.response_headers(root, request).unwrap();
        }
        phase(Phase::BodyFilter);
        self.plugin.response_body(root, request).unwrap();
        phase(Phase::Log);
        self.host.end_request(request);
        self.plugin.log_request(root, request).unwrap();
    }

    /// One line for each call.
    fn answers(&self) -> Vec<String> {
        let mut answers = Vec::new();
        let mut answer: Vec<String> = Vec::new();
        for (level, line) in self.host.logs() {
            let line = line.strip_prefix("[proxy-wasm] p: ").unwrap();
            match line {
                // What the host has to say itself.
                _ if level != LogLevel::Info => {}
                ";" => answers.push(std::mem::take(&mut answer).join(" ")),
                // A status is one byte; what is denied is said at this level.
                _ if answer.is_empty() && line.len() != 1 => {}
                _ if answer.is_empty() => {
                    let status = line.as_bytes()[0] - b'A';
                    answer.push(STATUSES[usize::from(status)].to_owned());
                }
                _ if answer[0] == "OK" => answer.push(line.to_owned()),
                // A failed call leaves its outputs alone.
                _ => assert!(line.is_empty() || line.bytes().all(|b| b"\\x0".contains(&b))),
            }
        }
        answers
    }
}

/// What calls in a callback get.
fn answers(callback: &str, calls: &[&str]) -> Vec<String> {
    let mut run = Run::new(&Wat::new(callback, calls));
    if callback != "proxy_on_configure" {
        run.request();
    }
    run.answers()
}

#[track_caller]
fn check(callback: &str, cases: &[(&str, &str)]) {
    let calls: Vec<&str> = cases.iter().map(|(call, _)| *call).collect();
    let answers = answers(callback, &calls);
    assert_eq!(answers.len(), cases.len(), "{answers:?}");
    for ((call, expected), answer) in cases.iter().zip(answers) {
        assert_eq!(answer, *expected, "{callback}: {call}");
    }
}

// -- what holds for all of them ----------------------------------------------

#[test]
fn every_built_row_has_a_call_here() {
    let names = |built| {
        let rows = TABLE.iter().filter(move |row| row.built == built);
        rows.flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()))
    };
    let called: Vec<&str> = FUNCTIONS.iter().map(|call| parse(call).0).collect();
    for name in names(true) {
        assert!(called.contains(&name), "{name} wants a call in FUNCTIONS");
    }
    for name in names(false) {
        assert!(!called.contains(&name), "{name} is not built");
    }
}

#[test]
fn pointers_outside_the_memory_are_invalid_in_every_place() {
    const BEYOND: [(&str, &str); 4] = [
        ("0x40000", "1"),
        ("0xfffffff0", "100"),
        ("16", "0xffffffff"),
        ("0x3ffff", "2"),
    ];
    const BEYOND_OUT: [&str; 4] = ["0x3fffd", "0x40000", "0xfffffffd", "0xffffffff"];

    let mut calls = Vec::new();
    for function in FUNCTIONS {
        let (name, args) = parse(function);
        let mut with = |index: usize, bad: &[String]| {
            let mut words = vec![name.to_owned()];
            for (at, arg) in args.iter().enumerate() {
                if at == index {
                    words.extend_from_slice(bad);
                    continue;
                }
                words.push(arg.to_string());
            }
            calls.push(words.join(" "));
        };
        for (index, arg) in args.iter().enumerate() {
            match arg {
                Arg::Text(_) => {
                    for (ptr, len) in BEYOND {
                        with(index, &[ptr.to_owned(), len.to_owned()]);
                    }
                }
                Arg::U32 | Arg::U64 => {
                    for ptr in BEYOND_OUT {
                        with(index, &[ptr.to_owned()]);
                    }
                }
                Arg::Bytes => {
                    for ptr in BEYOND_OUT {
                        with(index, &[ptr.to_owned(), "256".to_owned()]);
                        with(index, &["256".to_owned(), ptr.to_owned()]);
                    }
                }
                _ => {}
            }
        }
    }
    assert!(calls.len() > 150);
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    for (call, answer) in calls
        .iter()
        .zip(answers("proxy_on_request_headers", &calls))
    {
        assert_eq!(answer, "INVALID_MEMORY_ACCESS", "{call}");
    }
}

#[test]
fn unaligned_pointers_and_empty_slices_anywhere_are_fine() {
    check(
        "proxy_on_request_headers",
        &[
            (r#"proxy_get_header_map_value 0 "x-one" 257 263"#, "OK"),
            ("proxy_get_current_time_nanoseconds 0x3fff8", "OK"),
            ("proxy_get_log_level 0x3fffc", "OK"),
            ("proxy_get_header_map_value 0 0xffffffff 0 **", "NOT_FOUND"),
            (r#"proxy_set_property "mine" 0xffffffff 0"#, "OK"),
        ],
    );
}

#[test]
fn numbers_that_no_enumeration_has_are_bad_arguments() {
    let mut cases = Vec::new();
    for number in ["9", "100", "0x80000000", "0xffffffff"] {
        for call in [
            "proxy_get_buffer_bytes N 0 1 **",
            r#"proxy_set_buffer_bytes N 0 1 "x""#,
            "proxy_get_buffer_status N * *",
            "proxy_get_header_map_pairs N **",
            r#"proxy_set_header_map_pairs N """#,
            "proxy_get_header_map_size N *",
            r#"proxy_get_header_map_value N "a" **"#,
            r#"proxy_add_header_map_value N "a" "b""#,
            r#"proxy_replace_header_map_value N "a" "b""#,
            r#"proxy_remove_header_map_value N "a""#,
            r#"proxy_log N "x""#,
            "proxy_continue_stream N",
            "proxy_close_stream N",
            r#"proxy_define_metric N "x" *"#,
        ] {
            cases.push(call.replace(" N ", &format!(" {number} ")));
            if call.ends_with(" N") {
                *cases.last_mut().unwrap() = call.replace(" N", &format!(" {number}"));
            }
        }
    }
    let calls: Vec<&str> = cases.iter().map(String::as_str).collect();
    for (call, answer) in calls
        .iter()
        .zip(answers("proxy_on_request_headers", &calls))
    {
        assert_eq!(answer, "BAD_ARGUMENT", "{call}");
    }
}

#[test]
fn rows_that_are_not_built_answer_unimplemented_whatever_they_are_called_with() {
    let calls: Vec<String> = TABLE
        .iter()
        .filter(|row| !row.built)
        .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()))
        .map(|name| format!("{name} -1 -1 -1"))
        .collect();
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    for (call, answer) in calls
        .iter()
        .zip(answers("proxy_on_request_headers", &calls))
    {
        assert_eq!(answer, "UNIMPLEMENTED", "{call}");
    }
}

#[test]
fn outside_a_request_there_is_nothing_to_read_and_nothing_to_write() {
    check(
        "proxy_on_configure",
        &[
            ("proxy_get_header_map_pairs 0 **", "OK "),
            ("proxy_get_header_map_pairs 2 **", "OK "),
            (r#"proxy_get_header_map_value 0 "host" **"#, "NOT_FOUND"),
            (r#"proxy_get_header_map_value 2 ":status" **"#, "NOT_FOUND"),
            (r#"proxy_add_header_map_value 0 "a" "b""#, "OK"),
            (r#"proxy_replace_header_map_value 2 "a" "b""#, "OK"),
            (r#"proxy_remove_header_map_value 0 "a""#, "OK"),
            (r#"proxy_set_header_map_pairs 2 """#, "OK"),
            ("proxy_get_header_map_size 0 *", "BAD_ARGUMENT"),
            ("proxy_get_buffer_bytes 0 0 100 **", "OK "),
            ("proxy_get_buffer_bytes 1 0 100 **", "OK "),
            ("proxy_get_buffer_bytes 4 0 100 **", "NOT_FOUND"),
            ("proxy_get_buffer_bytes 6 0 100 **", "OK "),
            ("proxy_get_buffer_bytes 7 0 100 **", "OK conf"),
            ("proxy_get_buffer_bytes 7 1 2 **", "OK on"),
            (r#"proxy_set_buffer_bytes 0 0 0 "x""#, "OK"),
            (r#"proxy_set_buffer_bytes 1 0 0 "x""#, "OK"),
            (r#"proxy_set_buffer_bytes 7 0 0 "x""#, "OK"),
            (r#"proxy_get_property "plugin_name" **"#, "OK p"),
            (r#"proxy_get_property "request\00path" **"#, "NOT_FOUND"),
            (r#"proxy_set_property "mine" "x""#, "OK"),
            (r#"proxy_send_local_response 200 "" "" "" -1"#, "OK"),
            ("proxy_continue_stream 0", "OK"),
            ("proxy_close_stream 0", "OK"),
            ("proxy_done", "OK"),
            (
                r#"proxy_http_call "h" "MAP" "" "" 100 *"#,
                r"OK \x01\x00\x00\x00",
            ),
        ],
    );
}

// -- what blocks of t/hostcalls need more of nginx for -------------------------

#[test]
fn trailers_of_the_response() {
    check(
        "proxy_on_response_trailers",
        &[
            (r#"proxy_get_header_map_value 3 "X-End" **"#, "OK yes"),
            (r#"proxy_get_header_map_value 3 "x-none" **"#, "NOT_FOUND"),
            (r#"proxy_get_header_map_value 3 "x-own" **"#, "NOT_FOUND"),
            ("proxy_get_header_map_size 3 *", r"OK \x08\x00\x00\x00"),
            (r#"proxy_add_header_map_value 3 "x-own" "1""#, "OK"),
            (r#"proxy_add_header_map_value 3 "X-Own" "2""#, "OK"),
            (r#"proxy_get_header_map_value 3 "x-own" **"#, "OK 1, 2"),
            ("proxy_get_header_map_size 3 *", r"OK \x11\x00\x00\x00"),
            (r#"proxy_remove_header_map_value 3 "x-own""#, "OK"),
            (r#"proxy_get_header_map_value 3 "x-own" **"#, "NOT_FOUND"),
            // What the upstream has sent, and what the operator does not name.
            (r#"proxy_replace_header_map_value 3 "x-end" "no""#, "OK"),
            (r#"proxy_replace_header_map_value 3 "x-other" "1""#, "OK"),
            (r#"proxy_get_header_map_value 3 "x-end" **"#, "OK yes"),
            (r#"proxy_get_header_map_value 3 "x-other" **"#, "NOT_FOUND"),
            (r#"proxy_set_header_map_pairs 3 "xx""#, "OK"),
        ],
    );
}

#[test]
fn response_headers_as_a_map_are_there_where_they_are_listed_anyway() {
    let map = r#"proxy_get_property "response\00headers" **"#;
    check("proxy_on_response_headers", &[(map, "NOT_FOUND")]);
    check(
        "proxy_on_response_headers",
        &[
            ("proxy_get_header_map_size 2 *", r"OK \x10\x00\x00\x00"),
            (
                map,
                r"OK \x02\x00\x00\x00\x07\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00:status\x00200\x00x-two\x002\x00",
            ),
        ],
    );
}

#[test]
fn in_the_log_phase_all_of_the_request_can_be_read() {
    check(
        "proxy_on_log",
        &[
            (r#"proxy_get_header_map_value 0 "x-one" **"#, "OK 1"),
            (r#"proxy_get_header_map_value 2 ":status" **"#, "OK 200"),
            (
                r#"proxy_get_property "request\00path" **"#,
                "OK /path?query",
            ),
            ("proxy_get_buffer_bytes 1 0 100 **", "OK "),
            (r#"proxy_replace_header_map_value 2 "a" "b""#, "OK"),
            (r#"proxy_send_local_response 403 "" "" "" -1"#, "OK"),
        ],
    );
}

#[test]
fn abi_0_1_0_gets_nothing_and_ok_for_a_header_that_is_not_there() {
    let mut run = Run::new(&Wat {
        abi: "0_1_0",
        calls: &[
            r#"proxy_get_header_map_value 0 "x-none" **"#,
            r#"proxy_get_header_map_value 0 "x-one" **"#,
            r#"proxy_get_header_map_value 6 ":status" **"#,
            r#"proxy_get_property "none" **"#,
            "proxy_get_configuration **",
        ],
        ..Wat::new("proxy_on_request_headers", &[])
    });
    run.request();
    assert_eq!(
        run.answers(),
        ["OK ", "OK 1", "OK ", "NOT_FOUND", "OK conf"]
    );
}
