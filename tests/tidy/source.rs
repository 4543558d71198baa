//! The source tree as text, for tests that read it.

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    // Asked for when the test runs: a copy of the tree can be checked, too.
    std::env::var("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned())
        .into()
}

/// Folders of products, and of others' work.
const SKIPPED: [&str; 5] = [".git", ".work", "target", "node_modules", "servroot"];

/// A file of the repository.
pub struct Source {
    /// From the repository's root on.
    pub path: String,
    pub text: String,
}

impl Source {
    #[track_caller]
    pub fn read(path: &str) -> Source {
        let text = std::fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        Source {
            path: path.to_owned(),
            text,
        }
    }

    /// Its lines, each with its offset.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let start = |line: &str| line.as_ptr() as usize - self.text.as_ptr() as usize;
        self.text.lines().map(move |line| (start(line), line))
    }

    /// The text with comments blanked, byte for byte in its place.
    pub fn without_comments(&self) -> String {
        self.blank(false)
    }

    /// The text with comments and what stands in quotes blanked.
    pub fn code(&self) -> String {
        self.blank(true)
    }

    fn blank(&self, strings: bool) -> String {
        let is_lua = self.path.ends_with(".lua");
        let spans = if is_lua { lua_spans } else { c_like_spans };
        let mut bytes = self.text.clone().into_bytes();
        for (kind, start, end) in spans(&self.text) {
            if strings || kind == Span::Comment {
                let blanked = bytes[start..end].iter_mut().filter(|byte| **byte != b'\n');
                blanked.for_each(|byte| *byte = b' ');
            }
        }
        String::from_utf8(bytes).expect("spans end between characters")
    }
}

/// Every file under `folder` whose name ends with `ending`, sorted by path.
pub fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), ending, &mut found);
    found.sort();
    let relative = |path: &PathBuf| {
        let path = path.strip_prefix(root()).expect("it is under the root");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    found
        .iter()
        .map(relative)
        .map(|p| Source::read(&p))
        .collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.iter().any(|skipped| name.starts_with(skipped)) {
                collect(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// What is wrong, by file and line; [`Report::done`] fails with all of it.
#[derive(Default)]
pub struct Report(String);

impl Report {
    /// `offset` is a byte of the source's text.
    pub fn at(&mut self, source: &Source, offset: usize, what: impl Display) {
        let line = 1 + source.text[..offset].matches('\n').count();
        let _ = writeln!(self.0, "{}:{line}: {what}", source.path);
    }

    /// What is wrong with the whole of a file.
    pub fn of(&mut self, source: &Source, what: impl Display) {
        self.at(source, 0, what);
    }

    #[track_caller]
    pub fn done(self) {
        assert!(self.0.is_empty(), "\n\n{}", self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Comment,
    /// Between its quotes.
    Quoted,
}

/// Comments, strings and characters of Rust, and of C as far as a header goes.
fn c_like_spans(text: &str) -> Vec<(Span, usize, usize)> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let before = at.checked_sub(1).map_or(b' ', |i| bytes[i]);
        if rest.starts_with("//") {
            let end = at + rest.find('\n').unwrap_or(rest.len());
            spans.push((Span::Comment, at, end));
            at = end;
        } else if rest.starts_with("/*") {
            let end = at + rest.find("*/").map_or(rest.len(), |len| len + 2);
            spans.push((Span::Comment, at, end));
            at = end;
        } else if let Some(hashes) = raw_string(rest)
            && !is_word(before)
        {
            let open = at + rest.find('"').expect("raw strings have quotes") + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = open + text[open..].find(&close).unwrap_or(text.len() - open);
            spans.push((Span::Quoted, open, end));
            at = (end + close.len()).min(text.len());
        } else if let Some(string) = rest.strip_prefix('"') {
            let end = at + 1 + end_of_string(string, '"');
            spans.push((Span::Quoted, at + 1, end));
            at = end + 1;
        } else if rest.starts_with('\'') && is_character(&rest[1..]) {
            let end = at + 1 + end_of_string(&rest[1..], '\'');
            spans.push((Span::Quoted, at + 1, end));
            at = end + 1;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    spans
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let rest = rest.strip_prefix('r')?;
    let quoted = rest.trim_start_matches('#');
    quoted.starts_with('"').then(|| rest.len() - quoted.len())
}

/// A character, not a lifetime.
fn is_character(rest: &str) -> bool {
    rest.starts_with('\\') || rest.chars().nth(1) == Some('\'')
}

fn end_of_string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at,
            _ => {}
        }
    }
    rest.len()
}

/// Comments and strings of Lua.
fn lua_spans(text: &str) -> Vec<(Span, usize, usize)> {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some(comment) = rest.strip_prefix("--") {
            let end = if comment.starts_with("[[") {
                rest.find("]]").map(|len| len + 2)
            } else {
                rest.find('\n')
            };
            let end = at + end.unwrap_or(rest.len());
            spans.push((Span::Comment, at, end));
            at = end;
        } else if rest.starts_with("[[") {
            let end = at + rest.find("]]").unwrap_or(rest.len());
            spans.push((Span::Quoted, at + 2, end));
            at = end + 2;
        } else if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let end = at + 1 + end_of_string(&rest[1..], quote);
            spans.push((Span::Quoted, at + 1, end));
            at = end + 1;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    spans
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The offsets at which `word` stands in `text`, not as a part of another one.
pub fn words(text: &str, word: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_apart = |at: &usize| {
        let end = at + word.len();
        !at.checked_sub(1).is_some_and(|i| is_word(bytes[i]))
            && !bytes.get(end).is_some_and(|byte| is_word(*byte))
    };
    let found = text.match_indices(word).map(|(at, _)| at);
    found.filter(is_apart).collect()
}

/// The word that begins at `text`, empty if none does.
pub fn word(text: &str) -> &str {
    let end = text.bytes().position(|byte| !is_word(byte));
    &text[..end.unwrap_or(text.len())]
}

/// Where the bracket that `text` begins with is closed; `text` is code without
/// comments and strings.
pub fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What is in the braces of the item that `code` begins with.
pub fn body(code: &str) -> &str {
    let start = code.find('{').unwrap_or(code.len());
    let end = closing(&code[start..]).unwrap_or_default();
    code.get(start + 1..start + end).unwrap_or_default().trim()
}

mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, without_comments: &str, code: &str) {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(source.without_comments(), without_comments);
        assert_eq!(source.code(), code);
    }

    #[test]
    fn comments_and_strings_are_told_from_code() {
        check("a.rs", "a // b\nc", "a     \nc", "a     \nc");
        check("a.rs", "a /* b\n */ c", "a     \n    c", "a     \n    c");
        check(
            "a.rs",
            r#"f("a // \" b"); c"#,
            r#"f("a // \" b"); c"#,
            r#"f("         "); c"#,
        );
        check("a.rs", "br#\"a\"b\"# c", "br#\"a\"b\"# c", "br#\"   \"# c");
        check(
            "a.rs",
            "'\"' <'a> '\\'' x",
            "'\"' <'a> '\\'' x",
            "' ' <'a> '  ' x",
        );
        check(
            "a.lua",
            "a -- 'b\n\"c -- d\"",
            "a      \n\"c -- d\"",
            "a      \n\"      \"",
        );
        check("a.lua", "[[a\n--b]] c", "[[a\n--b]] c", "[[ \n   ]] c");
        check(
            "a.lua",
            "--[[ a\nb ]] c",
            "      \n     c",
            "      \n     c",
        );
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("an unsafe_code unsafe(x)", "unsafe"), [15]);
        assert_eq!(word("ab_1::c"), "ab_1");
        assert_eq!(closing("(a(b){c})d"), Some(8));
        assert_eq!(closing("(a"), None);
    }
}
