//! What the library is built from, and that it has one version.

use super::source::{Report, Source, files, words};

/// It stays loaded, catches panics, and has nothing that a fork would break or
/// that would make every store async.
#[test]
fn the_library_is_built_to_live_in_nginx() {
    let mut report = Report::default();
    for (path, needle) in [
        ("build.rs", "-Wl,-z,nodelete"),
        ("Cargo.toml", "\npanic = \"unwind\"\n"),
        (
            "Cargo.toml",
            "\nwasmtime = { version = \"48.0.8\", default-features = false,",
        ),
    ] {
        let source = Source::read(path);
        if !source.text.contains(needle) {
            report.of(&source, format!("has no `{}`", needle.trim()));
        }
    }
    let cargo = Source::read("Cargo.toml");
    for feature in [
        "parallel-compilation",
        "async",
        "component-model",
        "pooling-allocator",
        "cache",
    ] {
        for (at, _) in cargo.text.match_indices(&format!("\"{feature}\"")) {
            report.at(&cargo, at, format!("{feature} has no place here"));
        }
    }
    for source in files("src", ".rs") {
        let code = source.code();
        for at in words(&code, "global_allocator") {
            report.at(&source, at, "the system's allocator is the allocator");
        }
        for at in words(&code, "spawn") {
            if source.path != "src/vm/process.rs" {
                report.at(&source, at, "threads come from src/vm/process.rs");
            }
        }
    }
    report.done();
}

#[test]
fn there_is_one_version() {
    let cargo = Source::read("Cargo.toml");
    let start = "\nversion = \"";
    let at = cargo.text.find(start).expect("a version") + start.len();
    let version = &cargo.text[at..at + cargo.text[at..].find('"').expect("its end")];

    let mut report = Report::default();
    let mut expect = |source: &Source, needle: String| {
        if !source.text.contains(&needle) {
            report.of(
                source,
                format!("has no `{needle}`; Cargo.toml says {version}"),
            );
        }
    };
    expect(
        &Source::read("Cargo.lock"),
        format!("name = \"lua-resty-proxy-wasm\"\nversion = \"{version}\"\n"),
    );
    expect(
        &Source::read("lib/resty/proxy_wasm.lua"),
        format!("_VERSION = \"{version}\""),
    );
    let name = format!("rockspec/lua-resty-proxy-wasm-{version}-1.rockspec");
    let rockspecs = files("rockspec", ".rockspec");
    assert!(!rockspecs.is_empty(), "there is no rockspec");
    for rockspec in &rockspecs {
        expect(rockspec, format!("version = \"{version}-1\""));
        expect(rockspec, format!("tag = \"v{version}\""));
    }
    for rockspec in rockspecs.iter().filter(|rockspec| rockspec.path != name) {
        report.of(rockspec, format!("is not {name}"));
    }

    // The newest entry is this version's, before its release and after.
    let changelog = Source::read("CHANGELOG.md");
    let mut entries = changelog
        .lines()
        .filter(|(_, line)| line.starts_with("## "));
    match entries.find(|(_, line)| *line != "## Unreleased") {
        Some((_, line)) if line.split(' ').nth(1) == Some(version) => {}
        Some((at, line)) => report.at(
            &changelog,
            at,
            format!("`{line}`; Cargo.toml says {version}"),
        ),
        None => report.of(&changelog, "has no version"),
    }
    report.done();
}
