//! The blocks of t/hostcalls on the in-memory host: what nginx runs there runs
//! here, too, but for what only nginx has.
//!
//! A block runs here when all its sections are of the kinds below; Perl tells what
//! those with the filter `eval` are. What else blocks have is listed, with the
//! reason for which it needs nginx. A block of these kinds that needs nginx all
//! the same says so in a section `only_nginx`, with the reason, and must fail
//! here.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use resty_proxy_wasm::abi::pairs::Encoder;
use resty_proxy_wasm::abi::property::Encoding;
use resty_proxy_wasm::abi::types::LogLevel;
use resty_proxy_wasm::callout::Upstreams;
use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::plugin::{Options, Plugin};

use super::blocks::{self, Block, bytes, text};
use super::content;
use super::perl::{self, Value};
use super::proxy::{NoResponse, Proxy, Response, Server};
use super::statuses;

/// Blocks that run here: fewer, and the table is no longer one.
const LEAST: usize = 225;

/// What only nginx can do, by the section of a block that asks for it: a block
/// stays there for no other reason.
const ONLY_NGINX: &[(&str, &str)] = &[
    (
        "no plugin",
        "it makes its chains itself, in nginx's configuration",
    ),
    (
        "prepare",
        "Lua that runs before: foreign functions of Lua's, mostly",
    ),
    ("location", "Lua or directives that ask nginx for something"),
    ("backend", "likewise, of the server behind"),
    ("callout", "likewise, of the server that is called"),
    (
        "config",
        "other locations, which drive the one with the plugin",
    ),
    ("http_config", "nginx's own settings, and other servers"),
    ("main_config", "nginx's own settings"),
    ("user_files", "files for nginx to serve"),
    ("skip_nginx", "a version of nginx"),
    ("pipelined_requests", "what comes on a connection"),
    ("raw_request", "what comes on a connection"),
    ("raw_response_headers_like", "the head as nginx writes it"),
    ("raw_response_headers_unlike", "the head as nginx writes it"),
    ("response_body_filters", "Perl that works on the response"),
];

/// Sections that mean something here.
const KINDS: &[&str] = &[
    "plugin",
    "plugin_guest",
    "plugin_options",
    "plugin2",
    "plugin2_guest",
    "plugin2_options",
    "request",
    "more_headers",
    "callout",
    "location",
    "backend",
    "log_level",
    "error_code",
    "response_headers",
    "response_body",
    "plugin_log",
    "error_log",
    "no_error_log",
    "grep_error_log",
    "grep_error_log_out",
    "only_nginx",
];

#[test]
fn the_blocks_of_t_hostcalls_on_the_in_memory_host() {
    // Compiled once: code is kept for as long as somebody has it.
    let _keeps = Plugin::load(
        Rc::new(MemoryHost::new()),
        b"p",
        &guest("hostcalls"),
        Options::default(),
    )
    .unwrap();
    let mut elsewhere: BTreeMap<String, usize> = BTreeMap::new();
    let (mut ran, mut marked, mut wrong) = (0, 0, Vec::new());
    for block in files().iter().flat_map(|file| blocks::read(file)) {
        let needs = needs(&block);
        let mark = block.value("only_nginx");
        match (needs, mark) {
            (Some(needs), None) => {
                eprintln!("LEFT {} @ {needs}", block.name);
                *elsewhere.entry(needs).or_default() += 1
            }
            (Some(needs), Some(_)) => {
                wrong.push(format!(
                    "{}: `{needs}` says already that it needs nginx",
                    block.name
                ));
            }
            (None, Some(mark)) if mark.trim().is_empty() => {
                wrong.push(format!("{}: only nginx, and why?", block.name));
            }
            (None, Some(_)) => {
                marked += 1;
                if run_alone(block.clone()).is_ok() {
                    wrong.push(format!("{}: it runs here: no `only_nginx`", block.name));
                }
            }
            (None, None) => {
                ran += 1;
                if let Err(why) = run_alone(block.clone()) {
                    wrong.push(format!("{}: {why}", block.name));
                }
            }
        }
    }
    for needs in elsewhere.keys() {
        if !ONLY_NGINX.iter().any(|(section, _)| section == needs) {
            wrong.push(format!(
                "a block needs nginx for `{needs}`, which is no reason"
            ));
        }
    }
    for (section, why) in ONLY_NGINX {
        if !elsewhere.contains_key(*section) {
            wrong.push(format!(
                "no block needs nginx for `{section}` ({why}) any more"
            ));
        }
    }
    let others: usize = elsewhere.values().sum();
    // Whoever runs this wants to know.
    let _ = writeln!(
        std::io::stderr(),
        "{ran} blocks ran; {marked} are marked, and {others} need nginx by their sections: {elsewhere:?}"
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    assert!(ran >= LEAST, "only {ran} blocks ran");
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("t/hostcalls");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "t"));
    files.sort();
    files
}

/// Why only nginx can run a block, by its sections.
fn needs(block: &Block) -> Option<String> {
    if block.section("plugin").is_none() {
        return Some("no plugin".to_owned());
    }
    for section in &block.sections {
        if !KINDS.contains(&section.name.as_str()) {
            return Some(section.name.clone());
        }
        if let Err(why) = &section.values {
            return Some(format!("{}: {why}", section.name));
        }
        if section.name.ends_with("_options") && options(&block.value(&section.name)?).is_none() {
            return Some(section.name.clone());
        }
        let is_server = SERVERS.contains(&section.name.as_str());
        let nginx = if is_server {
            block.value(&section.name)?
        } else {
            String::new()
        };
        // `add_header` comes behind the plugins of its own server.
        let late = section.name == "location" && nginx.contains("add_header");
        if is_server && (late || server(&nginx).is_none()) {
            return Some(section.name.clone());
        }
    }
    None
}

const SERVERS: [&str; 3] = ["location", "backend", "callout"];

/// What a server does; `None`: that needs nginx.
fn server(nginx: &str) -> Option<Server> {
    match nginx.trim() {
        "echo" => Some(Server::Echo),
        other => content::read(other).map(Server::Content),
    }
}

/// In a thread of its own: the library keeps what it knows by thread.
fn run_alone(block: Block) -> Result<(), String> {
    let run = move || {
        catch_unwind(AssertUnwindSafe(|| run(&block))).unwrap_or_else(|panicked| {
            Err(match panicked.downcast::<String>() {
                Ok(text) => format!("it panicked: {text}"),
                Err(_) => "it panicked".to_owned(),
            })
        })
    };
    std::thread::spawn(run).join().unwrap()
}

fn run(block: &Block) -> Result<(), String> {
    let mut proxy = Proxy::new();
    if let Some(level) = block.value("log_level") {
        proxy.host.set_log_level(match level.trim() {
            "debug" => LogLevel::Trace,
            "info" => LogLevel::Info,
            "notice" | "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            "crit" => LogLevel::Critical,
            _ => return Err(format!("the log level {level}")),
        });
    }
    for (section, name) in [("plugin", "p"), ("plugin2", "q")] {
        let Some(config) = block.value(section) else {
            continue;
        };
        let guest = block.value(&format!("{section}_guest"));
        let guest = guest.unwrap_or_else(|| "hostcalls".to_owned());
        let written = block.value(&format!("{section}_options"));
        let mut written = written.unwrap_or_default();
        if block.section("callout").is_some() {
            written += "\nupstreams = { callout = \"127.0.0.1:9\" },";
        }
        let options = options(&written).expect("it was looked at");
        let added = proxy.add(name, &self::guest(guest.trim()), &bytes(&config), options);
        added.map_err(|error| format!("it does not load: {error}"))?;
    }

    for name in SERVERS {
        let Some(server) = block.value(name).and_then(|nginx| server(&nginx)) else {
            continue;
        };
        match name {
            "callout" => proxy.answer = Some(server),
            _ => proxy.server = server,
        }
    }
    proxy.is_behind = block.section("backend").is_some();

    let requests = block.section("request").map_or(1, |it| it.all().len());
    // What is said when a plugin is loaded has no client.
    let mut logged = 0;
    let loading = proxy.host.logs().len();
    for number in 0..requests {
        let value = |name| block.value_for(name, number);
        let asked = value("request").unwrap_or_else(|| "GET /t\n".to_owned());
        let (request, body) = request(&asked, &value("more_headers").unwrap_or_default())?;
        let response = match proxy.serve(request, &bytes(&body)) {
            Ok(response) => response,
            Err(NoResponse::Closed) => return Err("the connection was closed".to_owned()),
            Err(NoResponse::Waits) => return Err("it waits".to_owned()),
        };
        let code = value("error_code").unwrap_or_else(|| "200".to_owned());
        equal("error_code", code.trim(), &response.status.to_string())?;
        if let Some(expected) = block.either_for("response_body", number) {
            check("response_body", expected, &text(&response.body))?;
        }
        check_headers(&value("response_headers").unwrap_or_default(), &response)?;
        let log = proxy.host.logs();
        let lines: Vec<String> = log
            .iter()
            .enumerate()
            .map(|(at, (level, line))| as_logged(*level, line, at >= loading))
            .collect();
        check_log(block, &lines[logged..])?;
        check_plugin_log(block, &log[logged..])?;
        logged = log.len();
    }
    Ok(())
}

fn equal(what: &str, expected: &str, got: &str) -> Result<(), String> {
    match expected == got {
        true => Ok(()),
        false => Err(format!("{what} is\n{got}\nand not\n{expected}")),
    }
}

/// As [`equal`], or a pattern.
fn check(what: &str, expected: &Value, got: &str) -> Result<(), String> {
    match expected {
        Value::Text(expected) => equal(what, &text(expected), got),
        Value::Pattern(pattern) => match perl::first_match(*pattern, &bytes(got)) {
            Some(_) => Ok(()),
            None => Err(format!("{what} is\n{got}")),
        },
    }
}

fn check_headers(expected: &str, response: &Response) -> Result<(), String> {
    for line in expected.lines() {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => (line.trim_start_matches('!').trim(), None),
        };
        let values = response.headers.iter();
        let values = values.filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        let values: Vec<_> = values.map(|(_, value)| text(value)).collect();
        let found = (!values.is_empty()).then(|| values.join(", "));
        if found.as_deref() != value {
            return Err(format!("{name} is {found:?} and not {value:?}"));
        }
    }
    Ok(())
}

/// What a request has left in the log: each of a block the same.
fn check_log(block: &Block, lines: &[String]) -> Result<(), String> {
    let has = |pattern: &Value| match pattern {
        Value::Text(part) => lines.iter().any(|line| line.contains(&lossy(part))),
        Value::Pattern(pattern) => {
            let mut lines = lines.iter();
            lines.any(|line| perl::first_match(*pattern, line.as_bytes()).is_some())
        }
    };
    for (name, wanted) in [("error_log", true), ("no_error_log", false)] {
        for pattern in parts(block, name) {
            if has(&pattern) != wanted {
                let all = lines.concat();
                return Err(format!("{name}: {pattern:?}, and there is\n{all}"));
            }
        }
    }
    if let Some(Value::Pattern(pattern)) = block.either_for("grep_error_log", 0) {
        let found = lines.iter().filter_map(|line| {
            let found = perl::first_match(*pattern, line.as_bytes())?;
            Some(String::from_utf8_lossy(&found).into_owned() + "\n")
        });
        let got: String = found.collect();
        let expected = block.either_for("grep_error_log_out", 0);
        check_text(
            "grep_error_log_out",
            expected.ok_or("no expected lines")?,
            &got,
        )?;
    }
    Ok(())
}

/// The lines of plugins.
fn check_plugin_log(block: &Block, log: &[(LogLevel, String)]) -> Result<(), String> {
    for (_, line) in log {
        check_status(line)?;
    }
    if let Some(expected) = block.either_for("plugin_log", 0) {
        let lines = log.iter().filter_map(|(_, line)| {
            let line = line.strip_prefix("[proxy-wasm] ")?;
            Some(line.strip_prefix("p: ").unwrap_or(line))
        });
        let got: String = lines
            .filter(|line| !line.contains("imports that"))
            .map(|line| format!("{line}\n"))
            .collect();
        check_text("plugin_log", expected, &got)?;
    }
    Ok(())
}

/// As nginx writes it, but for the time.
fn as_logged(level: LogLevel, line: &str, has_client: bool) -> String {
    match level_name(level) {
        name if has_client && name != "debug" => format!("[{name}] {line}, client: 127.0.0.1\n"),
        name => format!("[{name}] {line}\n"),
    }
}

/// Lines, or a list of patterns.
fn parts(block: &Block, name: &str) -> Vec<Value> {
    let Some(section) = block.section(name) else {
        return Vec::new();
    };
    match section.all() {
        [Value::Text(lines)] => {
            let lines = lines.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            lines.map(|line| Value::Text(line.to_vec())).collect()
        }
        patterns => patterns.to_vec(),
    }
}

/// The log of the in-memory host is text.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As [`check`], for text of the log.
fn check_text(what: &str, expected: &Value, got: &str) -> Result<(), String> {
    match expected {
        Value::Text(expected) => equal(what, &lossy(expected), got),
        Value::Pattern(pattern) => match perl::first_match(*pattern, got.as_bytes()) {
            Some(_) => Ok(()),
            None => Err(format!("{what} is\n{got}")),
        },
    }
}

/// What a raw call answers has a row in `failures.rs`.
fn check_status(line: &str) -> Result<(), String> {
    let Some((_, call)) = line.split_once(": proxy_") else {
        return Ok(());
    };
    let (Some((name, _)), Some((_, answer))) = (call.split_once('('), call.rsplit_once(") = "))
    else {
        return Ok(());
    };
    let status = answer.split(' ').next().unwrap_or_default();
    match statuses::is_listed(&format!("proxy_{name}"), status) {
        true => Ok(()),
        false => Err(format!("proxy_{name} = {status} wants a row in FAILURES")),
    }
}

/// As nginx writes it.
fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace | LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Critical => "crit",
    }
}

/// A request as Test::Nginx sends it, and its body.
fn request(text: &str, more_headers: &str) -> Result<(MemoryRequest, String), String> {
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(format!("the request {line}"));
    };
    let body = body.trim();
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for line in more_headers.lines() {
        let (name, value) = line.split_once(':').ok_or("a header without a value")?;
        headers.push((name, value.trim()));
    }
    let has = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
    let mut all = Vec::new();
    for (name, value) in [("host", "localhost"), ("connection", "close")] {
        if !has(name) {
            all.push((name, value));
        }
    }
    let length = body.len().to_string();
    let length = (!body.is_empty() && !has("content-length")).then_some(length.as_str());
    all.extend(headers);
    all.extend(length.map(|length| ("content-length", length)));
    let request = MemoryRequest {
        method: method.into(),
        uri: bytes(target),
        headers: all
            .into_iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        variables: [
            (b"server_protocol".to_vec(), b"HTTP/1.1".to_vec()),
            (b"remote_addr".to_vec(), b"127.0.0.1".to_vec()),
            (b"remote_port".to_vec(), b"50000".to_vec()),
            (b"server_addr".to_vec(), b"127.0.0.1".to_vec()),
            (b"server_port".to_vec(), b"1984".to_vec()),
            (b"connection".to_vec(), b"1".to_vec()),
            (b"request_id".to_vec(), b"0123456789abcdef".repeat(2)),
            (b"sent_http_connection".to_vec(), b"close".to_vec()),
            (
                b"request".to_vec(),
                format!("{method} {target} HTTP/1.1").into_bytes(),
            ),
        ]
        .into(),
        ..MemoryRequest::default()
    };
    Ok((request, body.to_owned()))
}

fn guest(name: &str) -> Vec<u8> {
    let folder = std::env::var("PROXY_WASM_GUESTS")
        .unwrap_or_else(|_| format!("{}/.work/guests", env!("CARGO_MANIFEST_DIR")));
    let path = format!("{folder}/{name}.wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// -- options, written in Lua ---------------------------------------------------

/// `None`: this needs all of Lua, or of nginx.
fn options(lua: &str) -> Option<Options> {
    let mut options = Options::default();
    let (mut upstreams, mut callouts) = (Vec::new(), Vec::new());
    let mut rest = lua.trim();
    while !rest.is_empty() {
        let (key, after) = field(rest)?;
        if let Some(table) = after.strip_prefix('{') {
            let (table, after) = table.split_once('}')?;
            match key {
                "upstreams" => upstreams = encode_upstreams(table)?,
                _ => return None,
            }
            rest = next(after)?;
            continue;
        }
        let (value, after) = match after.starts_with('"') {
            true => string(after)?,
            false => {
                let end = after.find([',', '\n']).unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        match (key, value.as_str()) {
            ("vm_id", _) => options.vm_id = Some(value.into()),
            ("vm_config", _) => options.vm_configuration = value.into(),
            ("root_id", _) => options.root_id = value.into(),
            ("non_utf8_headers", "drop") => options.only_text_headers = true,
            ("non_utf8_headers", "keep") => {}
            ("property_encoding", "string") => options.encoding = Encoding::Text,
            ("resume", "callouts") => options.resume_after_callouts = true,
            ("request_body", "false") => options.request_body = false,
            ("response_body", "false") => options.response_body = false,
            ("callouts", "any") => callouts = b"*".to_vec(),
            _ => return None,
        }
        rest = next(after)?;
    }
    options.upstreams = Rc::new(Upstreams::read(&upstreams, &callouts).ok()?);
    Some(options)
}

/// A key, and what comes behind the equals sign.
fn field(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once('=')?;
    let key = key.trim();
    let is_name = key
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || it == b'_');
    is_name.then(|| (key, rest.trim_start()))
}

/// What comes behind a comma, or nothing.
fn next(text: &str) -> Option<&str> {
    let text = text.trim();
    match text.strip_prefix(',') {
        Some(rest) => Some(rest.trim()),
        None => text.is_empty().then_some(text),
    }
}

fn string(text: &str) -> Option<(String, &str)> {
    blocks::literal(text)
}

fn encode_upstreams(table: &str) -> Option<Vec<u8>> {
    let mut all = Encoder::default();
    let mut rest = table.trim();
    while !rest.is_empty() {
        let (name, after) = field(rest)?;
        let (address, after) = string(after)?;
        let mut fields = Encoder::default();
        fields.push(b"address", address.as_bytes());
        let mut bytes = Vec::new();
        fields.write(&mut bytes);
        all.push(name.as_bytes(), &bytes);
        rest = next(after)?;
    }
    let mut bytes = Vec::new();
    all.write(&mut bytes);
    Some(bytes)
}
