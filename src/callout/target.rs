//! Where a callout goes: the upstream's address as a plugin or the operator
//! writes it.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::Scheme;
use crate::abi::limits::{MAX_HOST, MAX_UNIX_PATH};

/// An upstream to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: Kind,
    /// TLS is to be spoken on the connection.
    pub tls: bool,
}

/// The kind of address of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name in lower case, an IPv4 address, or an IPv6 address in brackets.
    Tcp { host: String, port: u16 },
    /// The absolute path, without `unix:`.
    Unix { path: String },
}

impl Target {
    /// Parses `host`, `host:port`, `[v6]`, `[v6]:port` or `unix:/path`, each
    /// optionally after `http://` or `https://`.
    ///
    /// `scheme` is the callout's own (`:scheme`); a scheme in the address,
    /// which is the operator's word, wins over it. It decides on TLS and on
    /// the port where none is given.
    pub fn parse(address: &[u8], scheme: Scheme) -> Result<Target, TargetError> {
        let address = str::from_utf8(address).map_err(|_| TargetError::Characters)?;
        if address.is_empty() {
            return Err(TargetError::Empty);
        }
        if address.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(TargetError::Characters);
        }
        let (scheme, rest) = split_scheme(address).unwrap_or((scheme, address));
        let kind = if let Some(path) = rest.strip_prefix("unix:") {
            parse_unix(path)?
        } else {
            parse_tcp(rest, scheme.default_port())?
        };
        Ok(Target {
            kind,
            tls: scheme == Scheme::Https,
        })
    }

    /// What the cosocket's `connect` takes as host: brackets stay around an
    /// IPv6 address, a unix socket is `unix:/path`.
    pub fn host(&self) -> Cow<'_, str> {
        match &self.kind {
            Kind::Tcp { host, .. } => Cow::Borrowed(host),
            Kind::Unix { path } => Cow::Owned(format!("unix:{path}")),
        }
    }

    /// What the cosocket's `connect` takes as port; none for a unix socket.
    pub fn port(&self) -> Option<u16> {
        match self.kind {
            Kind::Tcp { port, .. } => Some(port),
            Kind::Unix { .. } => None,
        }
    }
}

/// For log lines, in a form that [`Target::parse`] reads.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "https://" } else { "http://" })?;
        match &self.kind {
            Kind::Tcp { host, port } => write!(f, "{host}:{port}"),
            Kind::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    Empty,
    Characters,
    Scheme,
    Host,
    Path,
    Ipv6,
    Port,
    UnixPath,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetError::Empty => "the upstream address is empty",
            TargetError::Characters => {
                "the upstream address has spaces, control characters or is not UTF-8"
            }
            TargetError::Scheme => "the upstream address's scheme is neither http nor https",
            TargetError::Host => {
                "the upstream address is not of the form host, host:port, [ipv6]:port or unix:/path, \
                 each also behind http:// or https://"
            }
            TargetError::Path => {
                "the upstream address has a path: it is host, host:port, [ipv6]:port or unix:/path, \
                 each also behind http:// or https://, and the path is the callout's own (:path)"
            }
            TargetError::Ipv6 => "the upstream address is no IPv6 address in brackets",
            TargetError::Port => "the upstream address's port is not a number from 1 to 65535",
            TargetError::UnixPath => {
                "the upstream address's unix socket needs an absolute path of at most 107 bytes"
            }
        })
    }
}

impl std::error::Error for TargetError {}

fn split_scheme(address: &str) -> Option<(Scheme, &str)> {
    [("http://", Scheme::Http), ("https://", Scheme::Https)]
        .into_iter()
        .find_map(|(prefix, scheme)| {
            let (start, rest) = address.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then_some((scheme, rest))
        })
}

fn parse_unix(path: &str) -> Result<Kind, TargetError> {
    if path.len() < 2 || path.len() > MAX_UNIX_PATH || !path.starts_with('/') {
        return Err(TargetError::UnixPath);
    }
    Ok(Kind::Unix {
        path: path.to_owned(),
    })
}

fn parse_tcp(text: &str, default_port: u16) -> Result<Kind, TargetError> {
    if text.contains("://") {
        return Err(TargetError::Scheme);
    }
    if text.contains('/') {
        return Err(TargetError::Path);
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(TargetError::Ipv6)?;
        let address: Ipv6Addr = address.parse().map_err(|_| TargetError::Ipv6)?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(TargetError::Port),
            port => port,
        };
        (format!("[{address}]"), port)
    } else {
        let (host, port) = match text.split_once(':') {
            // Where the address ends and the port begins could only be guessed.
            Some((_, port)) if port.contains(':') => return Err(TargetError::Ipv6),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if !is_host(host) {
            return Err(TargetError::Host);
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = port.map_or(Ok(default_port), parse_port)?;
    Ok(Kind::Tcp { host, port })
}

/// A name as resolvers take it; the underscore is no DNS host name, but
/// common in container networks. A dot may follow the last label.
fn is_host(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    labels.len() <= MAX_HOST
        && labels.split('.').all(|label| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(letter)
        })
}

fn parse_port(digits: &str) -> Result<u16, TargetError> {
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(TargetError::Port),
        Ok(port) => Ok(port),
    }
}
