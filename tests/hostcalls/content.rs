//! What a server of a block sends, where its configuration is simple: `return`,
//! and Lua that sets headers and writes.

use super::blocks::literal;

/// A response, before any plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub status: u32,
    /// Names as they were written.
    pub headers: Vec<(String, Vec<String>)>,
    /// What goes through the body filter at a time.
    pub chunks: Vec<String>,
    /// Lines for the log.
    pub log: Vec<String>,
    /// The length is not known before the body.
    pub chunked: bool,
    /// All of an answer, as it is.
    pub raw: Option<String>,
}

/// `None`: only nginx can tell.
pub fn read(nginx: &str) -> Option<Content> {
    let mut content = Content {
        status: 200,
        ..Content::default()
    };
    let mut rest = nginx.trim();
    let mut answers = false;
    while !rest.is_empty() {
        rest = if let Some(after) = rest.strip_prefix("add_header ") {
            let (name, after) = after.split_once(' ')?;
            let (value, after) = after.split_once(';')?;
            let plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
            if !value.chars().all(plain) {
                return None;
            }
            content.put(name, vec![value.to_owned()]);
            after
        } else if let Some(after) = rest.strip_prefix("return ") {
            let (what, after) = after.split_once(';')?;
            let (status, text) = what.split_once(' ')?;
            let (body, "") = literal(text)? else {
                return None;
            };
            content.status = status.parse().ok()?;
            content.chunks = vec![body];
            answers = true;
            after
        } else {
            let lua = rest.strip_prefix("content_by_lua_block {")?;
            content.run(lua.trim_end().strip_suffix('}')?)?;
            answers = true;
            ""
        };
        rest = rest.trim_start();
    }
    answers.then_some(content)
}

impl Content {
    fn put(&mut self, name: &str, values: Vec<String>) {
        let is = |(it, _): &(String, Vec<String>)| it.eq_ignore_ascii_case(name);
        self.headers.retain(|header| !is(header));
        self.headers.push((name.to_owned(), values));
    }

    /// Lua, a statement a line.
    fn run(&mut self, lua: &str) -> Option<()> {
        let lines = lua.lines().map(str::trim);
        self.chunked = true;
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with("--")) {
            if let Some(rest) = line.strip_prefix("ngx.header.") {
                let (name, value) = rest.split_once(" = ")?;
                self.set(&name.replace('_', "-"), value)?;
            } else if let Some(rest) = line.strip_prefix("ngx.header[") {
                let (name, rest) = literal(rest)?;
                self.set(&name, rest.strip_prefix("] = ")?)?;
            } else if let Some(status) = line.strip_prefix("ngx.status = ") {
                self.status = status.parse().ok()?;
            } else if line == "ngx.flush(true)" {
                // What Lua writes goes through the body filter at once, anyway.
            } else if let Some(text) = line.strip_prefix("ngx.log(ngx.ERR, ") {
                let (text, ")") = literal(text)? else {
                    return None;
                };
                self.log.push(text);
            } else if line == "local sock = assert(ngx.req.socket(true))" {
                self.raw = Some(String::new());
            } else if let Some(text) = line.strip_prefix("sock:send(") {
                let (text, ")") = literal(text)? else {
                    return None;
                };
                *self.raw.as_mut()? += &text;
            } else {
                let (end, text) = match line.strip_prefix("ngx.say(") {
                    Some(text) => ("\n", text),
                    None => ("", line.strip_prefix("ngx.print(")?),
                };
                let (text, ")") = literal(text)? else {
                    return None;
                };
                self.chunks.push(text + end);
            }
        }
        Some(())
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let values = match value.strip_prefix('{') {
            None => vec![alone(value)?],
            Some(list) => {
                let mut values = Vec::new();
                let mut rest = list.strip_suffix('}')?.trim();
                while !rest.is_empty() {
                    let (value, after) = literal(rest)?;
                    values.push(value);
                    rest = after.strip_prefix(',').unwrap_or(after).trim_start();
                }
                values
            }
        };
        if name.eq_ignore_ascii_case("content-length") {
            self.chunked = false;
        }
        self.put(name, values);
        Some(())
    }
}

/// A string or a number, and nothing behind it.
fn alone(text: &str) -> Option<String> {
    let (value, rest) = literal(text)?;
    rest.is_empty().then_some(value)
}

#[test]
fn simple_servers_are_understood_and_others_are_not() {
    let content = read("add_header x-a b;\nreturn 403 \"no\";").unwrap();
    assert_eq!(
        (content.status, content.chunks.concat().as_str()),
        (403, "no")
    );
    assert_eq!(content.headers, [("x-a".to_owned(), vec!["b".to_owned()])]);
    let lua = "content_by_lua_block {\n  ngx.header[\"X-Two\"] = { \"a\", 'b' }\n  \
        ngx.header.etag = '\"t\"'\n  ngx.print(\"one\")\n  ngx.flush(true)\n  ngx.say(\"two\")\n}";
    let content = read(lua).unwrap();
    assert_eq!(content.chunks, ["one", "two\n"]);
    assert_eq!(content.headers[0].1, ["a", "b"]);
    assert_eq!(content.headers[1].1, ["\"t\""]);
    for other in [
        "proxy_pass http://a;",
        "content_by_lua_block { ngx.say(ngx.var.a) }",
        "",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}
