//! Addresses that a plugin may call although no upstream of its own names
//! them. By default there are none: what a plugin can reach, whoever writes it
//! can reach.

use super::Scheme;
use super::target::{Kind, Target};

/// Patterns of addresses.
#[derive(Debug, Default)]
pub struct Allowed(Vec<Pattern>);

#[derive(Debug)]
enum Pattern {
    Any,
    /// `host`, or with a dot before it what ends so; of one port, or any.
    Host {
        host: String,
        port: Option<u16>,
    },
    Unix(String),
}

impl Allowed {
    /// Reads patterns, one a line: `*`, `host`, `host:port`, `*.domain`,
    /// `*.domain:port`, `[ipv6]`, `[ipv6]:port`, `unix:/path`.
    ///
    /// Errors: a sentence that names the pattern.
    pub fn read(lines: &[u8]) -> Result<Allowed, String> {
        let lines = lines.split(|byte| *byte == b'\n');
        let patterns = lines.filter(|line| !line.is_empty()).map(|line| {
            Pattern::read(line).ok_or_else(|| {
                format!(
                    "\"{}\" is no pattern: it is host, host:port, *.domain, *.domain:port, \
                     [ipv6]:port or unix:/path, without http:// and without a path of a URL",
                    line.escape_ascii()
                )
            })
        });
        Ok(Allowed(patterns.collect::<Result<_, _>>()?))
    }

    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, target: &Target) -> bool {
        self.0.iter().any(|pattern| pattern.has(target))
    }
}

impl Pattern {
    fn read(text: &[u8]) -> Option<Pattern> {
        if text == b"*" {
            return Some(Pattern::Any);
        }
        let (text, dot) = match text.strip_prefix(b"*.") {
            Some(domain) => (domain, "."),
            None => (text, ""),
        };
        if text.windows(3).any(|part| part == b"://") {
            return None;
        }
        let port_of = |scheme| match Target::parse(text, scheme).ok()?.kind {
            Kind::Tcp { port, .. } => Some(port),
            Kind::Unix { .. } => None,
        };
        match Target::parse(text, Scheme::Http).ok()?.kind {
            Kind::Unix { .. } if !dot.is_empty() => None,
            Kind::Unix { path } => Some(Pattern::Unix(path)),
            Kind::Tcp { host, port } => Some(Pattern::Host {
                host: format!("{dot}{}", without_dot(&host)),
                // It was said, if it does not depend on the scheme.
                port: (port_of(Scheme::Https) == Some(port)).then_some(port),
            }),
        }
    }

    fn has(&self, target: &Target) -> bool {
        match (self, &target.kind) {
            (Pattern::Any, _) => true,
            (Pattern::Unix(allowed), Kind::Unix { path }) => allowed == path,
            (Pattern::Host { host, port }, Kind::Tcp { host: to, port: at }) => {
                let to = without_dot(to);
                let is_host = match host.starts_with('.') {
                    true => to.ends_with(host.as_str()),
                    false => to == host,
                };
                is_host && port.is_none_or(|port| port == *at)
            }
            _ => false,
        }
    }
}

fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}
