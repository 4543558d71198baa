//! Limits are in one place, each with its reason.

use super::source::{Report, Source, files};

const LIMITS: &str = "src/abi/limits.rs";

/// Begins the name of a number that bounds something.
const BOUNDS: [&str; 2] = ["MAX_", "MIN_"];

/// Ends the name of a time that is somebody's patience.
const TIMES: [&str; 2] = ["TIMEOUT_MS", "LIMIT_MS"];

#[test]
fn limits_are_in_one_place() {
    let mut report = Report::default();
    for source in files("src", ".rs") {
        if source.path == LIMITS || source.path.contains("/tests") {
            continue;
        }
        let code = source.code();
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in code.match_indices("const ") {
            let rest = &code[at + "const ".len()..];
            let Some((name, _)) = rest.split_once(':') else {
                continue;
            };
            let bounds = BOUNDS.iter().any(|begin| name.starts_with(begin));
            if bounds || TIMES.iter().any(|end| name.ends_with(end)) {
                report.at(&source, at, format!("{name} belongs to {LIMITS}"));
            }
        }
    }
    report.done();
}

/// What Lua keeps for its next use alone, and the numbers that an int32 has.
const OF_LUA: [&str; 8] = [
    "MAX_SECONDS",
    "MAX_BYTES",
    "MAX_COUNT",
    "MAX_MEMORY",
    "MAX_PLAIN",
    "MAX_CLOCKS",
    "MAX_POOLS",
    "MAX_SPARE",
];

#[test]
fn lua_has_limits_from_the_library() {
    let mut report = Report::default();
    for source in files("lib", ".lua") {
        for (at, line) in source.lines() {
            let Some((name, value)) = line
                .strip_prefix("local ")
                .and_then(|it| it.split_once(" = "))
            else {
                continue;
            };
            let named = name.starts_with("MAX_") || name.starts_with("KEEP_");
            let known = OF_LUA.contains(&name);
            if named && !known && value.starts_with(|first: char| first.is_ascii_digit()) {
                report.at(&source, at, format!("{name} belongs to {LIMITS}"));
            }
        }
    }
    report.done();
}

#[test]
fn every_limit_says_why() {
    let mut report = Report::default();
    let source = Source::read(LIMITS);
    let mut said = false;
    for (at, line) in source.lines() {
        let line = line.trim_start();
        if line.starts_with("pub const ") && !said {
            report.at(&source, at, "a limit without a reason");
        }
        // Two that belong together may have one reason.
        said = line.starts_with("///") || line.starts_with("#[") || (said && !line.is_empty());
    }
    report.done();
}
