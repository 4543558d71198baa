//! t/hostcalls mirrors src/hostcalls: whoever changes a host function knows
//! where its cases are.

use resty_proxy_wasm::hostcalls::TABLE;

use super::source::{Report, Source, files, word, words};

/// What the guest `hostcalls` calls host functions by; t/guests/README.md.
const COMMANDS: &[(&str, &str)] = &[
    ("proxy_log", "log"),
    ("proxy_get_log_level", "log_level"),
    ("proxy_get_current_time_nanoseconds", "time"),
    ("proxy_set_tick_period_milliseconds", "tick"),
    ("proxy_get_buffer_bytes", "get_body"),
    ("proxy_set_buffer_bytes", "set_body"),
    ("proxy_get_buffer_status", "get_body_status"),
    ("proxy_get_header_map_pairs", "get_pairs"),
    ("proxy_set_header_map_pairs", "set_pairs"),
    ("proxy_get_header_map_size", "get_map_size"),
    ("proxy_get_header_map_value", "get_header"),
    ("proxy_add_header_map_value", "add_header"),
    ("proxy_replace_header_map_value", "set_header"),
    ("proxy_remove_header_map_value", "remove_header"),
    ("proxy_get_property", "get_property"),
    ("proxy_set_property", "set_property"),
    ("proxy_continue_stream", "continue"),
    ("proxy_close_stream", "close"),
    ("proxy_send_local_response", "local_response"),
    ("proxy_http_call", "http_call"),
    ("proxy_grpc_call", "grpc_call"),
    ("proxy_grpc_stream", "grpc_stream"),
    ("proxy_grpc_send", "grpc_send"),
    ("proxy_grpc_cancel", "grpc_cancel"),
    ("proxy_grpc_close", "grpc_close"),
    ("proxy_get_status", "grpc_status"),
    ("proxy_get_shared_data", "shared_get"),
    ("proxy_set_shared_data", "shared_set"),
    ("proxy_register_shared_queue", "register_queue"),
    ("proxy_resolve_shared_queue", "resolve_queue"),
    ("proxy_dequeue_shared_queue", "dequeue"),
    ("proxy_enqueue_shared_queue", "enqueue"),
    ("proxy_define_metric", "define_metric"),
    ("proxy_increment_metric", "increment_metric"),
    ("proxy_record_metric", "record_metric"),
    ("proxy_get_metric", "get_metric"),
    ("proxy_set_effective_context", "set_effective_context"),
    ("proxy_done", "done"),
    ("proxy_call_foreign_function", "foreign"),
];

/// Of `t/hostcalls/a_b.t`: `a_b`.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// True for the file of tests that a source file has, and for those that have
/// a word behind its name.
fn is_of(test: &str, source: &str) -> bool {
    let rest = stem(test).strip_prefix(source);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn tests() -> Vec<Source> {
    files("t/hostcalls", ".t")
}

#[test]
fn every_section_has_its_tests_and_every_test_its_section() {
    let mut report = Report::default();
    let sources = files("src/hostcalls", ".rs").into_iter();
    // Files below a section are a part of it.
    let sections: Vec<Source> = sources
        .filter(|source| source.path.matches('/').count() == 2 && stem(&source.path) != "mod")
        .collect();
    assert!(sections.len() > 15, "a folder that this test cannot read");
    let tests = tests();
    for section in &sections {
        let name = stem(&section.path);
        if !tests.iter().any(|test| stem(&test.path) == name) {
            report.of(section, format!("there is no t/hostcalls/{name}.t"));
        }
    }
    for test in &tests {
        let of = |section: &Source| is_of(&test.path, stem(&section.path));
        if !sections.iter().any(of) {
            report.of(test, "is named after no file of src/hostcalls");
        }
    }
    report.done();
}

#[test]
fn every_host_function_is_called_in_the_tests_of_its_section() {
    let mut report = Report::default();
    let source = Source::read("src/hostcalls/mod.rs");
    let tests = tests();
    for row in TABLE.iter().filter(|row| row.built) {
        let start = source.text.find(&format!("\"{}\"", row.name));
        let text = &source.text[start.expect("a row")..];
        let section = word(text[text.find('{').expect("its function") + 1..].trim_start());
        let command = COMMANDS.iter().find(|(name, _)| *name == row.name);
        let called = |test: &Source| {
            let (_, blocks) = test.text.split_once("\n__DATA__\n").unwrap_or_default();
            let by = |name| !words(blocks, name).is_empty();
            // Functions of old versions are called by guests of old SDKs.
            is_of(&test.path, "table_abi_0_1_0") && blocks.contains(row.name)
                || is_of(&test.path, section)
                    && (by(row.name) || command.is_some_and(|(_, command)| by(command)))
        };
        if !tests.iter().any(called) {
            let at = start.unwrap_or_default();
            let what = format!("t/hostcalls/{section}.t does not call {}", row.name);
            report.at(&source, at, what);
        }
    }
    report.done();
}
