//! The documents say what the sources say.

use resty_proxy_wasm::hostcalls::TABLE;

use super::rooms::LUA;
use super::source::{Report, Source, body, files, root, word};

fn support() -> Source {
    Source::read("docs/SUPPORT.md")
}

pub fn documents() -> Vec<Source> {
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ];
    let mut documents: Vec<Source> = names.iter().map(|name| Source::read(name)).collect();
    documents.extend(files("docs", ".md"));
    documents
}

/// Compares the rows under a heading of docs/SUPPORT.md with how each must
/// begin.
fn compare(report: &mut Report, heading: &str, expected: &[String]) {
    let support = support();
    let mut lines = support.lines();
    let Some((start, _)) = lines.find(|(_, line)| *line == heading) else {
        report.of(&support, format!("has no `{heading}`"));
        return;
    };
    let section = lines.take_while(|(_, line)| !line.starts_with('#'));
    let mut rows = section.filter(|(_, line)| line.starts_with("| `"));
    for row in expected {
        match rows.next() {
            Some((_, line)) if line.starts_with(row.as_str()) => {}
            Some((at, line)) => {
                return report.at(&support, at, format!("`{line}` where `{row}` belongs"));
            }
            None => return report.at(&support, start, format!("the row `{row}` is missing")),
        }
    }
    if let Some((at, line)) = rows.next() {
        report.at(&support, at, format!("`{line}` is nowhere in the sources"));
    }
}

#[test]
fn the_support_table_equals_the_table() {
    let mut report = Report::default();
    for section in TABLE.chunk_by(|a, b| a.section == b.section) {
        let rows = section.iter().map(|row| {
            let aliases: Vec<String> = row.aliases.iter().map(|it| format!("`{it}` ")).collect();
            let answer = match row.built {
                true => "yes",
                false => "unimplemented: answers 12",
            };
            format!("| `{}` | {}| {answer} |", row.name, aliases.concat())
        });
        let rows: Vec<String> = rows.collect();
        compare(&mut report, &format!("### {}", section[0].section), &rows);
    }

    let rows = TABLE.len();
    let names = rows + TABLE.iter().map(|row| row.aliases.len()).sum::<usize>();
    let built = TABLE.iter().filter(|row| row.built).count();
    let rest = rows - built;
    let count =
        format!("{rows} host functions under {names} names: {built} are built, {rest} answer 12.");
    let support = support();
    if !support.text.contains(&count) {
        report.of(&support, format!("does not say `{count}`"));
    }
    report.done();
}

#[test]
fn the_readme_says_what_is_not_built() {
    let readme = Source::read("README.md");
    let start = "\nNot built yet:";
    let at = readme.text.find(start).expect("what is not built") + 1;
    let paragraph = readme.text[at..].split("\n\n").next();
    let said = paragraph.unwrap_or_default().split('`').skip(1).step_by(2);
    // Names of drafts are many: the README has a link to them.
    let missing = TABLE
        .iter()
        .filter(|row| !row.built && row.section != "Drafts and other hosts")
        .map(|row| row.name);
    let (said, missing): (Vec<&str>, Vec<&str>) = (said.collect(), missing.collect());
    let mut report = Report::default();
    if said != missing {
        report.at(&readme, at, format!("should name {missing:?}"));
    }
    report.done();
}

#[test]
fn the_plugin_in_the_documents_is_the_one_that_is_built() {
    let document = Source::read("docs/PLUGINS.md");
    let mut report = Report::default();
    for (file, language) in [("Cargo.toml", "toml"), ("src/lib.rs", "rust")] {
        let source = Source::read(&format!("examples/rust-minimal/{file}"));
        let block = format!("`{file}`:\n\n```{language}\n{}```\n", source.text);
        if !document.text.contains(&block) {
            report.of(&document, format!("does not show {}", source.path));
        }
    }
    report.done();
}

#[test]
fn the_support_table_lists_the_callbacks() {
    let source = Source::read("src/callbacks.rs");
    let code = source.code();
    let plain = code
        .lines()
        .filter(|line| line.starts_with("    proxy_") && line.ends_with(";"));
    let mut rows: Vec<String> = plain
        .map(|line| format!("| `{}` |", word(line.trim())))
        .collect();
    let start = "headers(instance, \"";
    for (at, _) in source.text.match_indices(start) {
        rows.push(format!("| `{}` |", word(&source.text[at + start.len()..])));
    }
    assert!(rows.len() > 10, "a file that this test cannot read");
    let mut report = Report::default();
    compare(&mut report, "## Callbacks", &rows);
    report.done();
}

#[test]
fn the_support_table_lists_the_attributes() {
    let source = Source::read("src/hostcalls/properties/attributes.rs");
    let text = source.without_comments();
    let start = text.find("\nconst ATTRIBUTES").expect("the attributes");
    let table = &text[start..start + text[start..].find("\n};\n").expect("their end")];
    let table: String = table.split_whitespace().collect();
    let (mut rows, mut group, mut before) = (Vec::new(), "", "");
    // `(b"group",&[(b"name",Source),…]),…`, and a Source may be `Text(b"…")`.
    for part in table.split("(b\"") {
        let (name, rest) = part.split_once('"').unwrap_or_default();
        if rest.starts_with(",&[") {
            group = name;
        } else if before.ends_with(['[', ',']) {
            let path = format!("{group}.{}", name.replace("\\0", "."));
            rows.push(format!("| `{}` |", path.trim_end_matches('.')));
        }
        before = part;
    }
    assert!(rows.len() > 20, "a file that this test cannot read");
    let mut report = Report::default();
    compare(&mut report, "### Attributes", &rows);
    report.done();
}

#[test]
fn the_support_table_lists_wasi() {
    let source = Source::read("src/hostcalls/wasi.rs");
    let text = source.without_comments();
    let start = text.find("\nwasi_table! {").expect("the table");
    let rows = body(&text[start..]).lines();
    let names = rows.filter_map(|line| line.trim_start().strip_prefix('"').map(word));
    let names: Vec<&str> = names.chain(["proc_exit"]).collect();
    assert!(names.len() > 40, "a file that this test cannot read");

    let mut report = Report::default();
    let support = support();
    let at = support.text.find("\n## WASI\n").expect("its section") + 1;
    let section = support.text[at..].split("\n## ").next().unwrap_or_default();
    for name in &names {
        if !section.contains(&format!("`{name}`")) {
            report.at(&support, at, format!("does not list {name}"));
        }
    }
    let count = format!("{} functions", names.len());
    if !section.contains(&count) {
        report.at(&support, at, format!("does not say `{count}`"));
    }
    report.done();
}

/// A room's own `mod.rs` and tests are found without a map.
#[test]
fn the_code_map_has_every_file() {
    let mut report = Report::default();
    let map = Source::read("ARCHITECTURE.md");
    let sources = files("src", ".rs").into_iter().filter(|source| {
        let is_room = source.path.ends_with("/mod.rs") || source.path == "src/lib.rs";
        let is_test = source.path.contains("/tests/") || source.path.ends_with("/tests.rs");
        !is_room && !is_test
    });
    for source in sources {
        // A heading is enough for a room that is one file.
        let heading = format!("### `{}`", source.path);
        let link = format!("| [{}]({}) |", name_in_room(&source.path), source.path);
        if !map.text.contains(&heading) && !map.text.contains(&link) {
            report.of(&source, "ARCHITECTURE.md has no row for it");
        }
    }

    let rows = map.lines().filter_map(|(_, line)| {
        let path = line.strip_prefix("| [")?.split_once("](lib/")?.1;
        Some(path.split(".lua)").next()?.replace('/', "."))
    });
    if !rows.eq(LUA.iter().copied()) {
        report.of(&map, "its Lua files are not those of tests/tidy/rooms.rs");
    }
    report.done();
}

/// Of `src/a/b/c.rs`: `b/c.rs`.
fn name_in_room(path: &str) -> &str {
    path.splitn(3, '/').nth(2).unwrap_or(path)
}

#[test]
fn links_lead_somewhere() {
    let mut report = Report::default();
    for source in documents() {
        let (folder, _) = source.path.rsplit_once('/').unwrap_or_default();
        for (at, open) in source.text.match_indices("](") {
            let target = source.text[at + open.len()..].split(')').next();
            let target = target.unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !root().join(folder).join(path).exists() {
                report.at(&source, at, format!("there is no {target}"));
            }
        }
    }
    report.done();
}

/// Names of files in backquotes: these are what readers open.
#[test]
fn files_that_documents_name_exist() {
    let mut report = Report::default();
    for source in documents() {
        for (at, line) in source.lines() {
            for name in line.split('`').skip(1).step_by(2) {
                let folders = [
                    "src/",
                    "lib/resty",
                    "tests/",
                    "t/",
                    "docs/",
                    "scripts/",
                    "examples/",
                ];
                let is_path = folders.iter().any(|folder| name.starts_with(folder));
                let is_plain = !name.contains(['{', '*', ' ', '…', '<']);
                if is_path && is_plain && !root().join(name).exists() {
                    report.at(&source, at, format!("there is no {name}"));
                }
            }
        }
    }
    report.done();
}
