//! The gRPC connections of this worker, each shared by the calls of all plugins
//! to the same place.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::lifecycle::Plugin;
use crate::abi::limits::{GRPC_IDLE_MS, MAX_GRPC_CARRIED, MAX_GRPC_CONNECTIONS};
use crate::callout::grpc::{Call, Connection, Event, Kind};
use crate::callout::target::Kind as Address;
use crate::callout::{Route, Target, Tls, TlsConfig, TlsError, TlsOptions};

/// Whose a call is: a plugin that may be gone, and the token.
#[derive(Clone)]
pub struct Owner {
    pub plugin: Weak<RefCell<Plugin>>,
    pub token: u32,
}

pub type Shared = Rc<RefCell<Pooled>>;

/// A connection, and where it goes.
pub struct Pooled {
    /// Names it for Lua.
    pub serial: u32,
    pub target: Target,
    pub nodes_left: usize,
    key: String,
    connection: Connection<Owner>,
    /// Calls that it was given.
    carried: u32,
    /// Since when it has had none.
    idle_since: Option<Instant>,
    /// It takes no more calls, and ends without any.
    retired: bool,
}

/// What has become of a call.
pub enum Placed {
    /// Somebody must make this connection.
    New(Shared),
    /// This connection has it.
    On(u32),
}

thread_local! {
    static POOL: RefCell<Vec<Weak<RefCell<Pooled>>>> = const { RefCell::new(Vec::new()) };
    static LAST_SERIAL: Cell<u32> = const { Cell::new(0) };
    /// Where calls have gone that other connections gave back.
    static PLACED: RefCell<VecDeque<Placed>> = const { RefCell::new(VecDeque::new()) };
    /// With verification, and without.
    static CONFIGS: RefCell<[Option<TlsConfig>; 2]> = const { RefCell::new([None, None]) };
}

/// Gives a call to a connection.
pub fn place(owner: Owner, call: Call) -> Placed {
    let name = server_name(&call);
    let key = key(&call.route, &name);
    let mut pool = living();
    let fitting = pool.iter().find(|pooled| {
        let pooled = pooled.borrow();
        pooled.key == key && pooled.has_room()
    });
    if let Some(pooled) = fitting {
        let mut pooled = pooled.borrow_mut();
        pooled.take(owner, call);
        return Placed::On(pooled.serial);
    }

    if pool.len() >= MAX_GRPC_CONNECTIONS {
        for pooled in &pool {
            let mut pooled = pooled.borrow_mut();
            pooled.retired |= pooled.connection.is_empty();
        }
        pool.retain(|pooled| !pooled.borrow().retired);
    }
    let tls = match call.route.target().tls {
        true => shake_hands(&call.route, &name).map(Some),
        false => Ok(None),
    };
    let (tls, failed) = match tls {
        Ok(tls) => (tls, None),
        Err(why) => (None, Some(format!("TLS: {why}"))),
    };
    let failed = failed.or_else(|| {
        (pool.len() >= MAX_GRPC_CONNECTIONS)
            .then(|| format!("there are {MAX_GRPC_CONNECTIONS} connections of gRPC, all in use"))
    });
    let serial = LAST_SERIAL.get().wrapping_add(1).max(1);
    LAST_SERIAL.set(serial);
    let target = call.route.target().clone();
    let mut pooled = Pooled {
        serial,
        nodes_left: call.route.nodes_left(),
        key,
        connection: Connection::new(authority(&target), tls),
        carried: 0,
        idle_since: None,
        retired: false,
        target,
    };
    pooled.take(owner, call);
    if let Some(why) = failed {
        pooled.fail(&why);
    }
    let pooled = Rc::new(RefCell::new(pooled));
    POOL.with_borrow_mut(|pool| {
        pool.retain(|pooled| pooled.strong_count() > 0);
        pool.push(Rc::downgrade(&pooled));
    });
    Placed::New(pooled)
}

/// The next call that went over another connection, and where to.
pub fn next_placed() -> Option<Placed> {
    PLACED.with_borrow_mut(VecDeque::pop_front)
}

/// Gives calls that a connection gave back to others.
pub fn place_returned(pooled: &Shared) {
    loop {
        let returned = pooled.borrow_mut().connection.next_returned();
        let Some((owner, call)) = returned else {
            return;
        };
        let placed = place(owner, call);
        PLACED.with_borrow_mut(|all| all.push_back(placed));
    }
}

fn living() -> Vec<Shared> {
    POOL.with_borrow(|pool| pool.iter().filter_map(Weak::upgrade).collect())
}

/// What two calls must have in common to share a connection.
fn key(route: &Route, server_name: &[u8]) -> String {
    let target = route.target();
    if !target.tls {
        return target.to_string();
    }
    let own = route.own_tls().map_or(0, |(_, number)| number);
    let name = server_name.escape_ascii();
    format!("{target} {name} {} {own}", route.verify())
}

/// The name that the upstream must prove.
fn server_name(call: &Call) -> Vec<u8> {
    let asked = call.head.authority().map(<[u8]>::to_vec);
    let asked = asked.unwrap_or_else(|| authority(call.route.target()).into_bytes());
    call.route.server_name(&asked).to_vec()
}

/// What the upstream is called where nothing else is said.
fn authority(target: &Target) -> String {
    match &target.kind {
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix { .. } => "localhost".to_owned(),
    }
}

fn shake_hands(route: &Route, server_name: &[u8]) -> Result<Tls, TlsError> {
    if let Some((config, _)) = route.own_tls() {
        return Tls::new(&config.with_alpn(&[b"h2"]), server_name);
    }
    let verify = route.verify();
    let config = CONFIGS.with_borrow_mut(|configs| {
        let config = &mut configs[usize::from(verify)];
        match config {
            Some(config) => Ok(config.clone()),
            None => {
                let made = TlsConfig::new(TlsOptions {
                    alpn: &[b"h2"],
                    unverified: !verify,
                    ..TlsOptions::default()
                })?;
                Ok(config.insert(made).clone())
            }
        }
    })?;
    Tls::new(&config, server_name)
}

impl Pooled {
    fn has_room(&self) -> bool {
        !self.retired && self.carried < MAX_GRPC_CARRIED && self.connection.has_room()
    }

    fn take(&mut self, owner: Owner, call: Call) {
        call.outbox.connection.set(self.serial);
        self.carried += 1;
        self.idle_since = None;
        self.connection.take(owner, call);
    }

    /// The connection is there.
    pub fn open(&mut self) {
        self.connection.open();
    }

    /// Takes bytes that came; none: the upstream has closed.
    pub fn receive(&mut self, bytes: &[u8]) {
        match bytes {
            [] => self.connection.end(),
            _ => self.connection.receive(bytes),
        }
    }

    /// The bytes to send.
    pub fn output(&mut self) -> Vec<u8> {
        self.connection.output()
    }

    /// The connection is no more, or never was.
    pub fn fail(&mut self, why: &str) {
        self.connection.fail(why);
    }

    /// Whether the next event can be told. `None`: there is none; false: its
    /// plugin is busy.
    pub fn next_is_ready(&mut self) -> Option<bool> {
        let owner = self.connection.next_owner()?;
        let plugin = owner.plugin.upgrade();
        Some(plugin.is_none_or(|plugin| plugin.try_borrow_mut().is_ok()))
    }

    pub fn next_event(&mut self) -> Option<(Owner, Event)> {
        self.connection.next_event()
    }

    /// Ends what is late, and with `exiting` the streams that no request waits
    /// for. Gives the milliseconds until there is something to look at again;
    /// `None`: the connection is to be closed.
    pub fn expire(&mut self, now: Instant, exiting: bool) -> Option<u32> {
        if exiting {
            let is_nobodys = |owner: &Owner, kind: Kind| {
                let plugin = owner.plugin.upgrade();
                kind == Kind::Stream
                    && plugin.is_some_and(|plugin| {
                        let mut plugin = plugin.borrow_mut();
                        !plugin.has_request(owner.token)
                    })
            };
            self.connection.close_calls("the worker exits", is_nobodys);
        }
        let next = self.connection.expire(now);
        if !self.connection.is_empty() {
            self.idle_since = None;
        } else {
            let idle_since = *self.idle_since.get_or_insert(now);
            let idle = now.saturating_duration_since(idle_since);
            let idle = idle >= Duration::from_millis(GRPC_IDLE_MS.into());
            self.retired |= idle || exiting || self.carried >= MAX_GRPC_CARRIED;
            if self.retired || self.connection.is_over() {
                return None;
            }
        }
        let left = next.map(|next| next.saturating_duration_since(now).as_millis() + 1);
        Some(left.map_or(GRPC_IDLE_MS, |ms| ms.min(GRPC_IDLE_MS.into()) as u32))
    }
}
