//! Upstreams by name, and what a plugin may call beside them.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::allowed::Allowed;
use super::target::{Target, TargetError};
use super::{Scheme, TlsConfig, TlsOptions, host_of};
use crate::abi::field::shown;
use crate::abi::limits::NODE_REST_MS;
use crate::abi::pairs;

/// Where the callouts of a plugin may go.
#[derive(Debug, Default)]
pub struct Upstreams {
    named: Vec<(Vec<u8>, Rc<Upstream>)>,
    allowed: Allowed,
}

/// What a name stands for: one or more nodes, and how TLS is spoken with them.
#[derive(Debug)]
pub struct Upstream {
    name: Vec<u8>,
    nodes: Vec<Node>,
    /// The node that the next callout begins with.
    next: Cell<Option<usize>>,
    /// `None`: the node's address says, or else the callout.
    tls: Option<bool>,
    verify: bool,
    /// `None`: the host of `:authority`.
    server_name: Option<Vec<u8>>,
    own_tls: Option<OwnTls>,
}

/// TLS with a CA or a client certificate of the upstream's own.
#[derive(Debug)]
struct OwnTls {
    config: TlsConfig,
    /// Tells its connections from all others.
    number: u32,
}

#[derive(Debug)]
struct Node {
    /// Its address, for a callout of each scheme.
    http: Target,
    https: Target,
    /// It did not answer: until then the others come first.
    rests_until: Cell<Option<Instant>>,
}

/// The nodes that one callout may go to, the best one first.
#[derive(Clone, Debug)]
pub struct Route {
    to: Destination,
    scheme: Scheme,
    /// Indexes of the nodes; empty where there is one.
    order: Vec<usize>,
    at: usize,
}

#[derive(Clone, Debug)]
enum Destination {
    Upstream(Rc<Upstream>),
    Address(Target),
}

/// Why a callout goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    Address(TargetError),
    /// No upstream has this name, and it is no address that the operator
    /// allows.
    Denied,
}

thread_local! {
    static LAST_OWN_TLS: Cell<u32> = const { Cell::new(0) };
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRoute::Address(error) => error.fmt(f),
            NoRoute::Denied => f.write_str(
                "no upstream of the plugin has this name (option \"upstreams\"), and the option \
                 \"callouts\" does not allow it as an address",
            ),
        }
    }
}

impl std::error::Error for NoRoute {}

/// For log lines: the upstream's name, if it has one, and the node in use.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(upstream) = self.upstream() {
            write!(f, "\"{}\" at ", shown(&upstream.name))?;
        }
        self.target().fmt(f)
    }
}

impl Upstreams {
    /// Reads what the operator has written. `map`: names and, for each, a
    /// serialized map of its fields; `allowed`: patterns, one a line.
    ///
    /// Errors: a sentence that names the upstream or the pattern.
    pub fn read(map: &[u8], allowed: &[u8]) -> Result<Upstreams, String> {
        let malformed = |_| "malformed upstreams".to_owned();
        let mut named = Vec::new();
        for (name, fields) in pairs::parse(map).map_err(malformed)? {
            let fields = pairs::parse(fields).map_err(malformed)?;
            let upstream = Upstream::read(name, &fields)
                .map_err(|why| format!("upstream \"{}\": {why}", name.escape_ascii()))?;
            named.push((name.to_vec(), Rc::new(upstream)));
        }
        let allowed =
            Allowed::read(allowed).map_err(|why| format!("option \"callouts\": {why}"))?;
        Ok(Upstreams { named, allowed })
    }

    /// The upstream of a name.
    pub fn find(&self, name: &[u8]) -> Option<&Rc<Upstream>> {
        let mut named = self.named.iter();
        named.find(|(known, _)| known == name).map(|(_, it)| it)
    }

    /// Where a callout to `name` goes: to the nodes of that upstream, or to
    /// the address that it is. `scheme` is the callout's own.
    pub fn route(&self, name: &[u8], scheme: Scheme, now: Instant) -> Result<Route, NoRoute> {
        if let Some(upstream) = self.find(name) {
            return Ok(upstream.route(scheme, now));
        }
        if self.allowed.is_nothing() {
            return Err(NoRoute::Denied);
        }
        let target = Target::parse(name, scheme).map_err(NoRoute::Address)?;
        if !self.allowed.has(&target) {
            return Err(NoRoute::Denied);
        }
        Ok(Route {
            to: Destination::Address(target),
            scheme,
            order: Vec::new(),
            at: 0,
        })
    }
}

impl Upstream {
    fn read(name: &[u8], fields: &[pairs::Pair]) -> Result<Upstream, String> {
        let mut upstream = Upstream {
            name: name.to_vec(),
            nodes: Vec::new(),
            next: Cell::new(None),
            tls: None,
            verify: true,
            server_name: None,
            own_tls: None,
        };
        let (mut ca, mut cert, mut pem_key) = (None, None, None);
        for (key, value) in fields {
            match *key {
                b"address" => upstream.add_node(value)?,
                b"tls" => upstream.tls = Some(*value == b"true"),
                b"verify" => upstream.verify = *value == b"true",
                b"sni" => upstream.server_name = Some(server_name(value)?),
                b"ca" => ca = Some(*value),
                b"cert" => cert = Some(*value),
                b"key" => pem_key = Some(*value),
                _ => return Err(format!("unknown field \"{}\"", key.escape_ascii())),
            }
        }
        if upstream.nodes.is_empty() {
            return Err("it has no address".to_owned());
        }
        if let Some(tls) = upstream.tls {
            for node in &mut upstream.nodes {
                node.http.tls = tls;
                node.https.tls = tls;
            }
        }
        let client = match (cert, pem_key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("cert and key need each other".to_owned()),
        };
        if ca.is_some() || client.is_some() {
            let config = TlsConfig::new(TlsOptions {
                ca,
                client,
                alpn: &[],
                unverified: !upstream.verify,
            });
            upstream.own_tls = Some(OwnTls {
                config: config.map_err(|why| why.to_string())?,
                number: LAST_OWN_TLS.with(|last| {
                    last.set(last.get() + 1);
                    last.get()
                }),
            });
        }
        Ok(upstream)
    }

    fn add_node(&mut self, address: &[u8]) -> Result<(), String> {
        let parse = |scheme| {
            Target::parse(address, scheme)
                .map_err(|why| format!("\"{}\": {why}", address.escape_ascii()))
        };
        self.nodes.push(Node {
            http: parse(Scheme::Http)?,
            https: parse(Scheme::Https)?,
            rests_until: Cell::new(None),
        });
        Ok(())
    }

    /// The host of its first node, as the cosocket takes it.
    pub fn host(&self) -> Option<Vec<u8>> {
        let node = self.nodes.first()?;
        Some(node.http.host().into_owned().into_bytes())
    }

    fn route(self: &Rc<Self>, scheme: Scheme, now: Instant) -> Route {
        let scheme = match self.tls {
            Some(true) => Scheme::Https,
            Some(false) => Scheme::Http,
            None => scheme,
        };
        let count = self.nodes.len();
        let to = Destination::Upstream(self.clone());
        if count == 1 {
            return Route {
                to,
                scheme,
                order: Vec::new(),
                at: 0,
            };
        }
        // Workers begin with different nodes.
        let first = self
            .next
            .get()
            .unwrap_or_else(|| std::process::id() as usize)
            % count;
        self.next.set(Some(first + 1));
        let mut order: Vec<usize> = (first..count).chain(0..first).collect();
        // Stable: those that rest keep their turn among themselves.
        order.sort_by_key(|index| self.nodes[*index].rests(now));
        Route {
            to,
            scheme,
            order,
            at: 0,
        }
    }
}

impl Node {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.get().is_some_and(|until| until > now)
    }
}

impl Route {
    /// The node in use.
    pub fn target(&self) -> &Target {
        match &self.to {
            Destination::Address(target) => target,
            Destination::Upstream(upstream) => {
                let node = &upstream.nodes[self.index()];
                match self.scheme {
                    Scheme::Http => &node.http,
                    Scheme::Https => &node.https,
                }
            }
        }
    }

    /// Nodes that were not tried yet, beside the one in use.
    pub fn nodes_left(&self) -> usize {
        self.order.len().saturating_sub(self.at + 1)
    }

    /// Which node is in use.
    fn index(&self) -> usize {
        self.order.get(self.at).copied().unwrap_or(0)
    }

    /// Goes on to the next node, as the one in use could not be reached; for a
    /// while it comes after the others. False: there is none.
    pub fn next_node(&mut self, now: Instant) -> bool {
        let rest = Duration::from_millis(NODE_REST_MS.into());
        self.set_rest(Some(now + rest));
        let more = self.nodes_left() > 0;
        self.at += usize::from(more);
        more
    }

    /// The node in use answers.
    pub fn node_answered(&self) {
        self.set_rest(None);
    }

    fn upstream(&self) -> Option<&Upstream> {
        match &self.to {
            Destination::Upstream(upstream) => Some(upstream),
            Destination::Address(_) => None,
        }
    }

    fn set_rest(&self, until: Option<Instant>) {
        if let Some(upstream) = self.upstream() {
            upstream.nodes[self.index()].rests_until.set(until);
        }
    }

    /// The certificate of the upstream is verified.
    pub fn verify(&self) -> bool {
        self.upstream().is_none_or(|it| it.verify)
    }

    /// Where TLS has a CA or a client certificate of the upstream's own: with
    /// what, and a number that no other such upstream has.
    pub fn own_tls(&self) -> Option<(&TlsConfig, u32)> {
        let own = self.upstream()?.own_tls.as_ref()?;
        Some((&own.config, own.number))
    }

    /// The name that TLS asks for and the certificate must be for, in a
    /// callout to this `:authority`.
    pub fn server_name<'a>(&'a self, authority: &'a [u8]) -> &'a [u8] {
        let fixed = self.upstream().and_then(|it| it.server_name.as_deref());
        fixed.unwrap_or_else(|| host_of(authority))
    }
}

fn server_name(name: &[u8]) -> Result<Vec<u8>, String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(byte);
    if name.is_empty() || name.len() > 253 || !name.iter().all(is_part) {
        return Err(format!("\"{}\" is no name for sni", name.escape_ascii()));
    }
    Ok(name.to_vec())
}
