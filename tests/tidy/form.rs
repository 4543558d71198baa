//! How files look.

use super::documents::documents;
use super::source::{Report, closing, files, words};

/// Lines of a source file, about: one purpose hardly needs more.
const MAX_LINES: usize = 600;

#[test]
fn no_source_file_is_long() {
    let mut report = Report::default();
    for source in files("src", ".rs") {
        if let Some((at, _)) = source.lines().nth(MAX_LINES) {
            report.at(&source, at, "a long file: has it one purpose?");
        }
    }
    report.done();
}

#[test]
fn every_exception_has_a_reason() {
    let mut report = Report::default();
    for folder in ["src", "tests", "benches"] {
        for source in files(folder, ".rs") {
            let code = source.code();
            for start in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
                for (at, _) in code.match_indices(start) {
                    let list = &code[at + start.len() - 1..];
                    let list = &list[..closing(list).unwrap_or_default()];
                    if words(list, "reason").is_empty() {
                        report.at(&source, at, "an exception without a reason");
                    }
                }
            }
        }
    }
    report.done();
}

#[test]
fn lines_end_where_their_text_does() {
    let mut report = Report::default();
    let mut sources = documents();
    for folder in [
        "src", "tests", "lib", "include", "scripts", "rockspec", "benches", "examples", "t",
    ] {
        for ending in [
            ".rs",
            ".lua",
            ".h",
            ".sh",
            ".rockspec",
            ".py",
            ".toml",
            ".conf",
            ".wat",
            ".c",
            ".go",
            ".md",
            ".pm",
        ] {
            sources.extend(files(folder, ending));
        }
    }
    for source in sources {
        for (at, line) in source.lines() {
            if line.ends_with([' ', '\t']) {
                report.at(&source, at, "blanks at the end of the line");
            }
        }
        if !source.text.ends_with('\n') || source.text.ends_with("\n\n") {
            let last = source.text.len();
            report.at(&source, last, "the file does not end with one line feed");
        }
    }
    report.done();
}
