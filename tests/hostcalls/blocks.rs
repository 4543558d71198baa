//! The blocks of a .t file, as Test::Nginx reads them. Text of theirs is bytes,
//! each a character.

use std::path::Path;
use std::sync::Mutex;

use super::perl::{self, Value, Values};

#[derive(Clone)]
pub struct Section {
    pub name: String,
    pub filters: Vec<String>,
    text: String,
    /// Its text stands behind its name.
    inline: bool,
    /// What it says, by its filters, or why nobody knows.
    pub values: Result<Values, String>,
}

#[derive(Clone)]
pub struct Block {
    /// File and title.
    pub name: String,
    pub sections: Vec<Section>,
}

/// Each character a byte.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| character as u8).collect()
}

/// Each byte a character.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

impl Section {
    fn new(name: &str, filters: Vec<String>, text: &str) -> Self {
        Section {
            name: name.to_owned(),
            filters,
            text: text.to_owned(),
            inline: !text.is_empty() && !text.contains('\n'),
            values: Err("it is not read yet".to_owned()),
        }
    }

    fn read(&mut self) {
        trim(&mut self.text);
        if self.inline {
            self.text.truncate(self.text.trim_end().len());
        }
        let mut plain = self.text.clone();
        for filter in &self.filters {
            match filter.as_str() {
                "eval" => {
                    self.values = perl::value(&bytes(&plain));
                    return;
                }
                "chomp" => plain.truncate(plain.trim_end_matches('\n').len()),
                "chop" => drop(plain.pop()),
                _ => {
                    self.values = Err(format!("the filter {filter}"));
                    return;
                }
            }
        }
        self.values = Ok(Values::One(Value::Text(bytes(&plain))));
    }

    /// As many as requests, or one.
    pub fn all(&self) -> &[Value] {
        match &self.values {
            Ok(Values::One(value)) => std::slice::from_ref(value),
            Ok(Values::List(values)) => values,
            Err(_) => &[],
        }
    }
}

impl Block {
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// True where a line stands in one of its sections.
    pub fn wants(&self, line: &str) -> bool {
        let mut sections = self.sections.iter();
        sections.any(|section| section.text.lines().any(|it| it.contains(line)))
    }

    /// The text of a section.
    pub fn value(&self, name: &str) -> Option<String> {
        self.value_for(name, 0)
    }

    /// The text of a section for the request of this number.
    pub fn value_for(&self, name: &str, request: usize) -> Option<String> {
        match self.either_for(name, request)? {
            Value::Text(found) => Some(text(found)),
            Value::Pattern(_) => panic!("{}: {name} is a pattern", self.name),
        }
    }

    /// The text or the pattern of a section for the request of this number.
    pub fn either_for(&self, name: &str, request: usize) -> Option<&Value> {
        match self.section(name)?.values.as_ref().ok()? {
            Values::One(value) => Some(value),
            Values::List(values) => values.get(request),
        }
    }
}

pub fn read(path: &Path) -> Vec<Block> {
    // Perl has one set of variables, and each file its own.
    static FILE: Mutex<()> = Mutex::new(());
    let _file = FILE.lock();
    let text = text(&std::fs::read(path).unwrap());
    let file = path.file_name().unwrap().to_string_lossy();
    let (preamble, data) = text.split_once("\n__DATA__\n").expect("blocks");
    perl::run(preamble);
    let mut blocks: Vec<Block> = Vec::new();
    for line in data.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            blocks.push(Block {
                name: format!("{file} {title}"),
                sections: Vec::new(),
            });
            continue;
        }
        let Some(block) = blocks.last_mut() else {
            continue;
        };
        if let Some(head) = line.strip_prefix("--- ") {
            let (head, value) = match head.split_once(':') {
                Some((head, value)) => (head, value.trim()),
                None => (head, ""),
            };
            let mut words = head.split_whitespace().map(str::to_owned);
            let name = words.next().expect("a section has a name");
            block
                .sections
                .push(Section::new(&name, words.collect(), value));
        } else if let Some(section) = block.sections.last_mut() {
            section.text += line;
            section.text += "\n";
        }
    }
    for section in blocks.iter_mut().flat_map(|block| &mut block.sections) {
        section.read();
    }
    blocks
}

/// Blank lines before and behind are nothing.
fn trim(text: &mut String) {
    let start = text.len() - text.trim_start_matches('\n').len();
    text.drain(..start);
    let lines = text.trim_end_matches('\n').len();
    if lines < text.len() {
        text.truncate(lines + 1);
    }
}

/// A string of Lua's, or a number, and what comes behind it.
pub fn literal(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let Some(quoted) = text.strip_prefix(['"', '\'']) else {
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (number, rest) = text.split_at(end.unwrap_or(text.len()));
        return (!number.is_empty()).then(|| (number.to_owned(), rest.trim_start()));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some((value, quoted[at + 1..].trim_start())),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                escaped @ ('\\' | '"' | '\'') => escaped,
                'x' => {
                    let digits = [characters.next()?.1, characters.next()?.1];
                    let digits: String = digits.iter().collect();
                    u8::from_str_radix(&digits, 16).ok()?.into()
                }
                _ => return None,
            }),
            _ => value.push(character),
        }
    }
    None
}

#[test]
fn blocks_are_read_as_test_nginx_reads_them() {
    let values = |filters: &[&str], text: &str| {
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        let mut section = Section::new("a", filters, text);
        section.read();
        section.all().to_vec()
    };
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(values(&[], "\n\na\n\nb\n\n\n"), [text("a\n\nb\n")]);
    assert_eq!(values(&["chomp"], "a\n"), [text("a")]);
    assert_eq!(values(&["eval"], "\"a\\r\\n\""), [text("a\r\n")]);
    let list = [text("GET /t"), text("200"), text("")];
    assert_eq!(values(&["eval"], "[\"GET /t\",\n 200, \"\"]\n"), list);
    assert_eq!(values(&["unknown"], "a"), []);
    assert_eq!(literal(r#""\x61\n" ]"#), Some(("a\n".to_owned(), "]")));
    assert_eq!(literal("'\"'"), Some(("\"".to_owned(), "")));
    assert_eq!(literal("a"), None);
}
