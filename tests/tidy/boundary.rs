//! Between Rust and Lua: the C interface, its header, its effects.

use std::collections::BTreeSet;

use super::source::{Report, Source, body, closing, files, word, words};

const SYMBOLS: &str = "src/host/symbols.rs";

/// The functions that others than Lua call, nginx and the kernel, and where
/// they are.
const HANDLERS: [(&str, &str); 2] = [
    ("src/host/nginx.rs", "request_ended"),
    ("src/vm/process.rs", "fault"),
];

/// What a function for C may consist of: the wall itself, or a function that
/// consists of it.
const WALLS: [&str; 4] = ["wall", "drive", "look", "catch_unwind"];

#[test]
fn functions_for_c_have_their_room() {
    let mut report = Report::default();
    for source in files("src", ".rs") {
        let in_capi = source.path.starts_with("src/capi/");
        let mut functions = 0;
        for (at, name) in externs(&source) {
            match name.as_deref() {
                Some("") if source.path == SYMBOLS => {}
                Some("") => {
                    let what = format!("types of C functions belong to {SYMBOLS}");
                    report.at(&source, at, what);
                }
                Some(name) if in_capi => {
                    functions += 1;
                    if !name.starts_with("rpw_") {
                        report.at(&source, at, format!("{name} has not the prefix rpw_"));
                    }
                }
                Some(name) if HANDLERS.contains(&(source.path.as_str(), name)) => {}
                Some(_) => report.at(&source, at, "functions for C belong to src/capi"),
                None => report.at(&source, at, "symbols are looked up, never linked"),
            }
        }
        let exported = words(&source.code(), "no_mangle");
        for at in exported.iter().filter(|_| !in_capi) {
            report.at(&source, *at, "exported symbols belong to src/capi");
        }
        if in_capi && functions != exported.len() {
            let exported = exported.len();
            report.of(
                &source,
                format!("{functions} functions for C, {exported} exported"),
            );
        }
    }
    report.done();
}

/// Every `extern "C"`: the name of the function, empty for a type; no name at
/// all for a block.
fn externs(source: &Source) -> Vec<(usize, Option<String>)> {
    let text = source.without_comments();
    let found = text.match_indices("extern \"C\"");
    let named = found.map(|(at, it)| {
        let rest = text[at + it.len()..].trim_start();
        let name = rest.strip_prefix("fn");
        (at, name.map(|rest| word(rest.trim_start()).to_owned()))
    });
    named.collect()
}

#[test]
fn functions_for_c_are_all_inside_the_wall() {
    let mut report = Report::default();
    let mut walls = 0;
    for source in files("src", ".rs") {
        let code = source.code();
        for (at, name) in externs(&source) {
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                continue;
            };
            walls += 1;
            if !WALLS.iter().any(|wall| is_call(body(&code[at..]), wall)) {
                report.at(&source, at, format!("not all of {name} is inside wall()"));
            }
        }
        // What they hand over to has the wall.
        for name in ["drive", "look"] {
            for at in words(&code, name) {
                if code[..at].ends_with("fn ") && !is_call(body(&code[at..]), "wall") {
                    report.at(&source, at, format!("not all of {name} is inside wall()"));
                }
            }
        }
    }
    report.done();
    assert!(walls > 20, "only {walls} found: the test is blind");
}

/// True when `body` is one call of `function` and nothing else.
fn is_call(body: &str, function: &str) -> bool {
    let inner = body.strip_prefix("unsafe {");
    let inner = inner.and_then(|rest| rest.strip_suffix('}'));
    let body = inner.unwrap_or(body).trim().trim_end_matches(';');
    let body = body.strip_prefix("let _ = ").unwrap_or(body);
    let arguments = body.strip_prefix(function).unwrap_or_default();
    arguments.starts_with('(') && closing(arguments) == Some(arguments.len() - 1)
}

#[test]
fn a_wall_has_nothing_beside_it() {
    assert!(is_call("wall(1, || { f() })", "wall"));
    assert!(is_call("unsafe { drive(a, b) }", "drive"));
    assert!(is_call("let _ = catch_unwind(f);", "catch_unwind"));
    assert!(!is_call("wall(1, || 2) + f()", "wall"));
    assert!(!is_call("f(); wall(1, || 2)", "wall"));
    assert!(!is_call("", "wall"));
}

// -- the header ------------------------------------------------------------

fn header() -> Source {
    Source::read("include/resty_proxy_wasm.h")
}

/// A function that the header declares.
struct Prototype<'a> {
    at: usize,
    result: &'a str,
    name: &'a str,
    parameters: &'a str,
}

fn prototypes(code: &str) -> Vec<Prototype<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("rpw_") {
        let name = word(&code[at..]);
        let rest = &code[at + name.len()..];
        let Some(end) = rest.starts_with('(').then(|| closing(rest)).flatten() else {
            continue;
        };
        let start = code[..at].rfind([';', '}', '{', '\n']);
        found.push(Prototype {
            at,
            result: code[start.map_or(0, |at| at + 1)..at].trim(),
            name,
            parameters: &rest[1..end],
        });
    }
    assert!(found.len() > 20, "a header that this test cannot read");
    found
}

#[test]
fn no_pointer_to_a_function_crosses() {
    let mut report = Report::default();
    let mut sources = files("lib", ".lua");
    sources.extend(files("include", ".h"));
    for source in sources {
        // In Lua, types are in strings.
        for (at, _) in source.without_comments().match_indices("(*") {
            report.at(&source, at, "a pointer to a function");
        }
    }
    report.done();
}

#[test]
fn only_small_numbers_and_pointers_cross() {
    let mut report = Report::default();
    let header = header();
    let code = header.code();
    for function in prototypes(&code) {
        let (name, result) = (function.name, function.result);
        if !matches!(result, "int32_t" | "uint32_t" | "void") && !result.ends_with('*') {
            let what = format!("{name} gives `{result}`, which LuaJIT boxes");
            report.at(&header, function.at, what);
        }
        for parameter in function.parameters.split(',').map(str::trim) {
            let small = parameter.starts_with("int32_t ") || parameter.starts_with("uint32_t ");
            if parameter != "void" && !small && !parameter.contains('*') {
                report.at(
                    &header,
                    function.at,
                    format!("{name} takes `{parameter}` by value"),
                );
            }
        }
    }
    for ty in [
        "enum", "size_t", "int64_t", "uint64_t", "long", "double", "bool",
    ] {
        for at in words(&code, ty) {
            report.at(&header, at, format!("{ty} in the interface"));
        }
    }
    report.done();
}

#[test]
fn lua_uses_the_whole_interface() {
    let header = header();
    let code = header.code();
    let functions = prototypes(&code);
    let constants = code
        .lines()
        .filter_map(|line| line.strip_prefix("#define "));
    let mut names: BTreeSet<&str> = constants.map(word).collect();
    names.extend(functions.iter().map(|function| function.name));

    let mut report = Report::default();
    let mut used = BTreeSet::new();
    for source in files("lib", ".lua") {
        let code = source.code();
        for (at, library) in code.match_indices("lib.") {
            let name = word(&code[at + library.len()..]);
            if !name.to_ascii_lowercase().starts_with("rpw_") {
                continue;
            }
            used.insert(name.to_owned());
            if !names.contains(name) {
                report.at(&source, at, format!("{name} is not in the header"));
            }
        }
    }
    for function in functions {
        if !used.contains(function.name) {
            let what = format!("no Lua file uses {}", function.name);
            report.at(&header, function.at, what);
        }
    }
    report.done();
}

// -- effects ---------------------------------------------------------------

#[test]
fn every_effect_has_its_number_and_its_lua_function() {
    let mut report = Report::default();
    let source = Source::read("src/context/effect.rs");
    let code = source.code();
    let start = code.find("pub enum Effect ").expect("the enum");
    let lines = body(&code[start..]).lines().map(|line| word(line.trim()));
    let is_variant = |name: &&str| name.starts_with(|first: char| first.is_ascii_uppercase());
    let effects: BTreeSet<String> = lines.filter(is_variant).map(screaming).collect();
    assert!(effects.len() > 3, "an enum that this test cannot read");

    let capi = Source::read("src/capi/effect.rs");
    let mut numbers = BTreeSet::new();
    let mut constants = BTreeSet::new();
    for (at, constant) in capi.code().match_indices("pub const RPW_EFFECT_") {
        let line = &capi.text[at + constant.len()..];
        let (line, _) = line.split_once(';').unwrap_or((line, ""));
        if !numbers.insert(line.rsplit(' ').next().unwrap_or_default()) {
            report.at(&capi, at, "this number is taken");
        }
        constants.insert(word(line).to_owned());
    }

    let lua = Source::read("lib/resty/proxy_wasm/effects.lua");
    let mut performed = BTreeSet::new();
    for (at, key) in lua.code().match_indices("[lib.RPW_EFFECT_") {
        if !performed.insert(word(&lua.text[at + key.len()..]).to_owned()) {
            report.at(&lua, at, "this effect is performed twice");
        }
    }

    for (names, place) in [(&constants, &capi), (&performed, &lua)] {
        for name in effects.symmetric_difference(names) {
            let what = format!("{name} must be here and in {}, or in neither", source.path);
            report.of(place, what);
        }
    }
    report.done();
}

/// Of `LocalResponse`: `LOCAL_RESPONSE`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(character.to_ascii_uppercase());
    }
    out
}
