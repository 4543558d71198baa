//! Who may know whom, and what may stand where.

use super::source::{Report, Source, closing, files, word, words};

/// The rooms of src/, from the ground up, and whom each may name: only rooms
/// above it in this list.
const ROOMS: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("host", &["abi"]),
    ("shared", &["host", "abi"]),
    ("vm", &["abi"]),
    ("callout", &["abi"]),
    ("context", &["callout", "host", "shared", "abi"]),
    (
        "hostcalls",
        &["vm", "context", "callout", "host", "shared", "abi"],
    ),
    ("callbacks", &["vm", "abi"]),
    (
        "plugin",
        &[
            "callbacks",
            "hostcalls",
            "vm",
            "context",
            "callout",
            "host",
            "shared",
            "abi",
        ],
    ),
    (
        "capi",
        &["plugin", "callout", "context", "host", "shared", "abi"],
    ),
];

/// The Lua files, from the ground up: each requires only files above it in
/// this list.
pub const LUA: &[&str] = &[
    "resty.proxy_wasm.cdef",
    "resty.proxy_wasm.lib",
    "resty.proxy_wasm.foreign",
    "resty.proxy_wasm.shown",
    "resty.proxy_wasm.sandbox",
    "resty.proxy_wasm.upstreams",
    "resty.proxy_wasm.plugin",
    "resty.proxy_wasm.tls",
    "resty.proxy_wasm.connection",
    "resty.proxy_wasm.alarm",
    "resty.proxy_wasm.dispatcher",
    "resty.proxy_wasm.callout",
    "resty.proxy_wasm.grpc",
    "resty.proxy_wasm.clock",
    "resty.proxy_wasm.effects",
    "resty.proxy_wasm.timer",
    "resty.proxy_wasm.phases",
    "resty.proxy_wasm.chain",
    "resty.proxy_wasm.status",
    "resty.proxy_wasm",
    "resty.proxy-wasm",
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "src/capi/",
    "src/host/dict.rs",
    "src/host/nginx.rs",
    "src/host/symbols.rs",
    // Maps serialized code.
    "src/vm/cache/map",
    // The one call of it, where it is known whose file it is.
    "src/vm/cache/mod",
    // What libc alone tells, and the signals of new threads.
    "src/vm/process",
    "src/vm/stack",
];

/// Where names of nginx's functions may stand.
const SYMBOLS: &str = "src/host/symbols.rs";

fn may_be_unsafe(path: &str) -> bool {
    UNSAFE.iter().any(|allowed| path.starts_with(allowed))
}

/// Of `src/a/b/c.rs`: `a`, `b`, `c`; a `mod.rs` is its folder.
fn module_of(path: &str) -> Vec<&str> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    inner.trim_end_matches("/mod").split('/').collect()
}

#[test]
fn the_rooms_are_in_order() {
    for (index, (room, below)) in ROOMS.iter().enumerate() {
        for other in *below {
            let at = ROOMS.iter().position(|(name, _)| name == other);
            assert!(at.is_some_and(|at| at < index), "{room} over {other}");
        }
    }
}

#[test]
fn rust_imports_go_downward() {
    let mut report = Report::default();
    let mut imports = 0;
    for source in files("src", ".rs") {
        let module = module_of(&source.path);
        if matches!(module[0], "lib" | "bin") {
            continue;
        }
        let Some((room, below)) = ROOMS.iter().find(|(name, _)| *name == module[0]) else {
            report.of(&source, "a room that tests/tidy/rooms.rs does not know");
            continue;
        };
        for (at, name) in imported(&source.code(), &module) {
            imports += 1;
            if name != *room && !below.contains(&name.as_str()) {
                report.at(&source, at, format!("{room} must not know {name}"));
            }
        }
    }
    report.done();
    assert!(imports > 100, "only {imports} found: the test is blind");
}

/// The rooms that code names, by `crate::` or by climbing up to it.
fn imported(code: &str, module: &[&str]) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for at in words(code, "crate") {
        // `pub(crate)` names no room.
        if let Some(path) = code[at..].strip_prefix("crate::") {
            paths.push((at, path));
        }
    }
    // In its tests, a file is one module deeper.
    let tests = code.find("#[cfg(test)]\nmod tests {").map(|start| {
        let open = start + code[start..].find('{').unwrap_or_default();
        open..open + closing(&code[open..]).unwrap_or_default()
    });
    for at in words(code, "super") {
        let path = code[at..].trim_start_matches("super::");
        let climbed = (code.len() - at - path.len()) / "super::".len();
        let in_tests = tests.as_ref().is_some_and(|tests| tests.contains(&at));
        if climbed == module.len() + usize::from(in_tests) {
            paths.push((at, path));
        }
    }
    let names = |(at, path)| heads(path).into_iter().map(move |name| (at, name));
    paths.into_iter().flat_map(names).collect()
}

/// The first name of a path, or that of each path in its braces.
fn heads(path: &str) -> Vec<String> {
    let Some(end) = path.starts_with('{').then(|| closing(path)).flatten() else {
        return vec![word(path).to_owned()];
    };
    let mut depth = 0;
    let parts = path[1..end].split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    });
    let names = parts.map(|part| word(part.trim()).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    #[track_caller]
    fn check(code: &str, module: &[&str], expected: &[&str]) {
        let read: Vec<String> = imported(code, module).into_iter().map(|it| it.1).collect();
        assert_eq!(read, expected);
    }
    check("use crate::{a::{b, c}, d};", &["x"], &["a", "d"]);
    check("pub(crate) fn f(x: crate::a::B) {}", &["x"], &["a"]);
    check("use super::super::a::b; use super::c;", &["x", "y"], &["a"]);
    check("#[cfg(test)]\nmod tests { use super::*; }", &["x"], &[]);
    check(
        "#[cfg(test)]\nmod tests { use super::super::a; }",
        &["x"],
        &["a"],
    );
}

#[test]
fn lua_requires_go_downward() {
    let mut report = Report::default();
    let mut requires = 0;
    for source in files("lib", ".lua") {
        let module = source.path.trim_start_matches("lib/");
        let module = module.trim_end_matches(".lua").replace('/', ".");
        let Some(place) = LUA.iter().position(|name| *name == module) else {
            report.of(&source, "a file that tests/tidy/rooms.rs does not know");
            continue;
        };
        let text = source.without_comments();
        for at in words(&text, "require") {
            let name = text[at + "require".len()..].trim_start_matches(['(', ' ', '"', '\'']);
            let name = &name[..name.find(['"', '\'']).unwrap_or_default()];
            requires += 1;
            if name.starts_with("resty.proxy") && !LUA[..place].contains(&name) {
                report.at(&source, at, format!("{name} is not below {module}"));
            }
        }
        for (what, only) in [("ffi.cdef", LUA[0]), ("ffi.load", LUA[1])] {
            for at in words(&source.code(), what) {
                if module != only {
                    report.at(&source, at, format!("{what} belongs to {only}"));
                }
            }
        }
    }
    report.done();
    assert!(requires > 20, "only {requires} found: the test is blind");
}

#[test]
fn only_vm_names_the_engine() {
    let mut report = Report::default();
    for source in files("src", ".rs") {
        if source.path.starts_with("src/vm/") || source.path == "src/hostcalls/table.rs" {
            continue;
        }
        for engine in ["wasmtime", "wasmparser"] {
            for at in words(&source.code(), engine) {
                report.at(&source, at, format!("{engine} belongs to src/vm"));
            }
        }
    }
    report.done();
}

#[test]
fn only_one_table_names_the_functions_of_nginx() {
    let mut report = Report::default();
    for source in files("src", ".rs") {
        if source.path == SYMBOLS {
            continue;
        }
        let here = format!("this belongs to {SYMBOLS}");
        // In strings: that is how they are looked up.
        for (at, _) in source.without_comments().match_indices("\"ngx_") {
            report.at(&source, at, &here);
        }
        for at in words(&source.code(), "dlsym") {
            report.at(&source, at, &here);
        }
    }
    report.done();
}

#[test]
fn unsafe_has_its_rooms() {
    let mut report = Report::default();
    let sources = files("src", ".rs");
    let forbids = |path: &str| {
        let source = sources.iter().find(|source| source.path == path);
        source.is_some_and(|source| source.code().contains("#![forbid(unsafe_code)]"))
    };
    for source in &sources {
        if may_be_unsafe(&source.path) {
            continue;
        }
        for at in words(&source.code(), "unsafe") {
            report.at(source, at, "this room has no unsafe");
        }
        if is_above_unsafe(&source.path, &sources) || source.path.starts_with("src/bin/") {
            continue;
        }
        let module = module_of(&source.path);
        let mut above = (1..=module.len()).flat_map(|len| {
            let path = format!("src/{}", module[..len].join("/"));
            [format!("{path}.rs"), format!("{path}/mod.rs")]
        });
        if !above.any(|path| forbids(&path)) {
            report.of(
                source,
                "has no #![forbid(unsafe_code)], nor has a module above it",
            );
        }
    }
    report.done();
}

/// True for a module that cannot forbid for all that is in it.
fn is_above_unsafe(path: &str, sources: &[Source]) -> bool {
    let folder = match path {
        "src/lib.rs" => "src/",
        _ => path.strip_suffix("mod.rs").unwrap_or(path),
    };
    let mut inside = sources.iter().map(|source| source.path.as_str());
    folder != path && inside.any(|inner| inner.starts_with(folder) && may_be_unsafe(inner))
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    let mut report = Report::default();
    let mut blocks = 0;
    for source in files("src", ".rs") {
        let code = source.code();
        for at in words(&code, "unsafe") {
            let what = code[at + "unsafe".len()..].trim_start();
            if what.starts_with('{') || what.starts_with("impl") {
                blocks += 1;
                if !is_explained(&source, at, "SAFETY:") {
                    report.at(&source, at, "no SAFETY comment above");
                }
                continue;
            }
            // A function; types of functions have no name.
            let function = what.trim_start_matches("extern").trim_start();
            let function = function.trim_start_matches('"').trim_start_matches(' ');
            let function = function.trim_start_matches('"').trim_start();
            if function.starts_with("fn ") && !is_explained(&source, at, "# Safety") {
                report.at(&source, at, "its documentation has no \"# Safety\"");
            }
        }
    }
    report.done();
    assert!(blocks > 50, "only {blocks} found: the test is blind");
}

/// True when a comment with `mark` stands above the statement at an offset.
fn is_explained(source: &Source, at: usize, mark: &str) -> bool {
    let before = &source.text[..at];
    let (before, line) = before.rsplit_once('\n').unwrap_or(("", before));
    let mut explained = line.contains(mark);
    let mut seen_note = false;
    for line in before.lines().rev().map(str::trim) {
        if line.starts_with("//") || line.starts_with("#[") {
            explained |= line.contains(mark);
            seen_note = true;
        } else if seen_note || line.is_empty() || line.ends_with([';', '{', '}', ',']) {
            break;
        }
    }
    explained
}
