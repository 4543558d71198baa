//! Upstreams by name, and what a plugin may call beside them.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::allowed::Allowed;
use super::target::{Target, TargetError};
use super::{Scheme, TlsConfig, TlsOptions, host_of};
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
    address: Vec<u8>,
    /// It did not answer: until then the others come first.
    rests_until: Cell<Option<Instant>>,
}

/// The nodes that one callout may go to, the best one first.
#[derive(Clone, Debug)]
pub struct Route {
    upstream: Option<Rc<Upstream>>,
    targets: Vec<(usize, Target)>,
    at: usize,
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
            let upstream = Upstream::read(&fields)
                .map_err(|why| format!("upstream \"{}\": {why}", name.escape_ascii()))?;
            named.push((name.to_vec(), Rc::new(upstream)));
        }
        let allowed = Allowed::read(allowed)?;
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
            return upstream.route(scheme, now).map_err(NoRoute::Address);
        }
        if self.allowed.is_nothing() {
            return Err(NoRoute::Denied);
        }
        let target = Target::parse(name, scheme).map_err(NoRoute::Address)?;
        if !self.allowed.has(&target) {
            return Err(NoRoute::Denied);
        }
        Ok(Route {
            upstream: None,
            targets: vec![(0, target)],
            at: 0,
        })
    }
}

impl Upstream {
    fn read(fields: &[pairs::Pair]) -> Result<Upstream, String> {
        let mut upstream = Upstream {
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
        Target::parse(address, Scheme::Http)
            .map_err(|why| format!("{why}: \"{}\"", address.escape_ascii()))?;
        self.nodes.push(Node {
            address: address.to_vec(),
            rests_until: Cell::new(None),
        });
        Ok(())
    }

    /// The host of its first node, as the cosocket takes it.
    pub fn host(&self) -> Option<Vec<u8>> {
        let target = Target::parse(&self.nodes[0].address, Scheme::Http).ok()?;
        Some(target.host().into_owned().into_bytes())
    }

    fn route(self: &Rc<Self>, scheme: Scheme, now: Instant) -> Result<Route, TargetError> {
        let scheme = match self.tls {
            Some(true) => Scheme::Https,
            Some(false) => Scheme::Http,
            None => scheme,
        };
        let count = self.nodes.len();
        // Workers begin with different nodes.
        let first = self
            .next
            .get()
            .unwrap_or_else(|| std::process::id() as usize)
            % count;
        self.next.set(Some(first + 1));
        let in_turn = (first..count).chain(0..first);
        let (resting, mut order): (Vec<usize>, Vec<usize>) =
            in_turn.partition(|index| self.nodes[*index].rests(now));
        order.extend(resting);
        let targets = order.into_iter().map(|index| {
            let mut target = Target::parse(&self.nodes[index].address, scheme)?;
            target.tls = self.tls.unwrap_or(target.tls);
            Ok((index, target))
        });
        Ok(Route {
            targets: targets.collect::<Result<_, _>>()?,
            upstream: Some(self.clone()),
            at: 0,
        })
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
        &self.targets[self.at].1
    }

    /// Nodes that were not tried yet, beside the one in use.
    pub fn nodes_left(&self) -> usize {
        self.targets.len() - self.at - 1
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

    fn set_rest(&self, until: Option<Instant>) {
        if let Some(upstream) = &self.upstream {
            let (index, _) = self.targets[self.at];
            upstream.nodes[index].rests_until.set(until);
        }
    }

    /// The certificate of the upstream is verified.
    pub fn verify(&self) -> bool {
        self.upstream.as_ref().is_none_or(|it| it.verify)
    }

    /// Where TLS has a CA or a client certificate of the upstream's own: with
    /// what, and a number that no other such upstream has.
    pub fn own_tls(&self) -> Option<(&TlsConfig, u32)> {
        let own = self.upstream.as_ref()?.own_tls.as_ref()?;
        Some((&own.config, own.number))
    }

    /// The name that TLS asks for and the certificate must be for, in a
    /// callout to this `:authority`.
    pub fn server_name<'a>(&'a self, authority: &'a [u8]) -> &'a [u8] {
        let fixed = self
            .upstream
            .as_ref()
            .and_then(|it| it.server_name.as_deref());
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
