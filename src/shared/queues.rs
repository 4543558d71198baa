//! Shared queues (spec: "Shared Queues"): each item is dequeued exactly once,
//! by whichever worker is first.
//!
//! Items are entries 1, 2, 3, …, made by `add`. Beside each lies the number of
//! claims on it: whoever counts it up to 1 has the item, and needs no room for
//! that in a full store. `tail` and `head` count finished steps, and are never
//! ahead of the items and the claims: everybody walks on from them.

use std::rc::Rc;

use super::{count, entry};
use crate::abi::Status;
use crate::abi::limits::{MAX_QUEUE_NAME, MAX_QUEUES, MAX_SHARED_VALUE};
use crate::host::store::Store;

/// Counts the queues of all plugins: a token is a queue's number.
const QUEUES: &[u8] = b"Q";

/// Counts what was ever enqueued anywhere: one number tells that something
/// came.
const ENQUEUED: &[u8] = b"E";

pub struct Queues {
    store: Rc<dyn Store>,
    scope: Vec<u8>,
}

fn name_of(scope: &[u8], name: &[u8]) -> Vec<u8> {
    entry(b"q", &[scope, name])
}

fn of(kind: &[u8], token: u32) -> Vec<u8> {
    entry(kind, &[&token.to_le_bytes()])
}

fn numbered(kind: &[u8], token: u32, number: u64) -> Vec<u8> {
    entry(kind, &[&token.to_le_bytes(), &number.to_le_bytes()])
}

impl Queues {
    pub fn new(store: Rc<dyn Store>, scope: &[u8]) -> Self {
        Queues {
            store,
            scope: scope.to_vec(),
        }
    }

    /// The token of the queue of this name, made if it is new. Never 0.
    ///
    /// Errors: [`Status::BadArgument`] for too long a name,
    /// [`Status::InternalFailure`] when the store is full.
    pub fn register(&self, name: &[u8]) -> Result<u32, Status> {
        if name.len() > MAX_QUEUE_NAME {
            return Err(Status::BadArgument);
        }
        let full = |_| Status::InternalFailure;
        let entry = name_of(&self.scope, name);
        if let Some(token) = self.store.number(&entry) {
            return Ok(token as u32);
        }
        let token = count(&*self.store, QUEUES).map_err(full)?;
        if token > f64::from(MAX_QUEUES) {
            return Err(Status::InternalFailure);
        }
        // The counters first: whoever knows the token finds them.
        self.store
            .add_number(&of(b"h", token as u32), 0.0)
            .map_err(full)?;
        self.store
            .add_number(&of(b"t", token as u32), 0.0)
            .map_err(full)?;
        if self.store.add_number(&entry, token).map_err(full)? {
            return Ok(token as u32);
        }
        // Another worker was first; this number stays unused.
        self.store.remove(&of(b"h", token as u32));
        self.store.remove(&of(b"t", token as u32));
        let token = self.store.number(&entry).ok_or(Status::InternalFailure)?;
        Ok(token as u32)
    }

    /// The token of a queue that somebody registered; an empty scope is one's
    /// own.
    ///
    /// Errors: [`Status::NotFound`].
    pub fn resolve(&self, scope: &[u8], name: &[u8]) -> Result<u32, Status> {
        let scope = if scope.is_empty() { &self.scope } else { scope };
        let token = self.store.number(&name_of(scope, name));
        token.map(|token| token as u32).ok_or(Status::NotFound)
    }

    /// Errors: [`Status::NotFound`] for an unknown token,
    /// [`Status::BadArgument`] for too large a value,
    /// [`Status::InternalFailure`] when the store is full.
    pub fn enqueue(&self, token: u32, value: &[u8]) -> Result<(), Status> {
        if value.len() > MAX_SHARED_VALUE {
            return Err(Status::BadArgument);
        }
        let tail = of(b"t", token);
        let mut last = self.store.number(&tail).ok_or(Status::NotFound)? as u64;
        loop {
            last += 1;
            // It may be there already: of one who was overtaken, or died.
            let claims = self.store.add_number(&numbered(b"c", token, last), 0.0);
            claims.map_err(|_| Status::InternalFailure)?;
            let added = self.store.add(&numbered(b"i", token, last), value);
            if added.map_err(|_| Status::InternalFailure)? {
                break;
            }
        }
        let _ = self.store.increment(&tail, 1.0);
        let _ = count(&*self.store, ENQUEUED);
        Ok(())
    }

    /// Appends the oldest item that nobody has.
    ///
    /// Errors: [`Status::NotFound`] for an unknown token, [`Status::Empty`].
    pub fn dequeue(&self, token: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        let head = of(b"h", token);
        let mut begin = self.store.number(&head).ok_or(Status::NotFound)? as u64;
        let mut number = begin;
        let start = out.len();
        loop {
            number += 1;
            out.truncate(start);
            if !self.store.get(&numbered(b"i", token, number), out) {
                // Nothing, or removed by those who were faster.
                let now = self.store.number(&head).ok_or(Status::NotFound)? as u64;
                if now == begin {
                    return Err(Status::Empty);
                }
                (begin, number) = (now, now);
                continue;
            }
            if self.store.increment(&numbered(b"c", token, number), 1.0) == Some(1.0) {
                break;
            }
        }
        if let Some(done) = self.store.increment(&head, 1.0) {
            // Everything up to here is claimed, and was read before that.
            self.store.remove(&numbered(b"i", token, done as u64));
            self.store.remove(&numbered(b"c", token, done as u64));
        }
        Ok(())
    }

    /// The number of the last item that was enqueued.
    pub fn last(&self, token: u32) -> u64 {
        self.store.number(&of(b"t", token)).unwrap_or(0.0) as u64
    }

    /// True when every item was dequeued.
    pub fn is_empty(&self, token: u32) -> bool {
        let head = self.store.number(&of(b"h", token)).unwrap_or(0.0) as u64;
        head >= self.last(token)
    }

    /// A number that changes whenever something is enqueued anywhere.
    pub fn enqueued(&self) -> u64 {
        self.store.number(ENQUEUED).unwrap_or(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::HeapStore;

    fn queues(store: &Rc<HeapStore>, scope: &str) -> Queues {
        Queues::new(store.clone(), scope.as_bytes())
    }

    fn dequeue(queues: &Queues, token: u32) -> Result<String, Status> {
        let mut value = Vec::new();
        queues.dequeue(token, &mut value)?;
        Ok(String::from_utf8(value).expect("text"))
    }

    #[test]
    fn a_name_has_one_token_in_its_scope() {
        let store = Rc::new(HeapStore::default());
        let a = queues(&store, "a");
        let token = a.register(b"q").expect("room");
        assert_eq!(a.register(b"q"), Ok(token));
        assert_eq!(a.resolve(b"", b"q"), Ok(token));
        assert_eq!(queues(&store, "b").resolve(b"a", b"q"), Ok(token));
        assert_eq!(
            queues(&store, "b").resolve(b"", b"q"),
            Err(Status::NotFound)
        );
        assert_ne!(queues(&store, "b").register(b"q"), Ok(token));
    }

    #[test]
    fn items_come_out_in_order_and_once() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(dequeue(&queues, token), Err(Status::Empty));
        for round in 0..50 {
            let before = queues.enqueued();
            assert_eq!(
                queues.enqueue(token, format!("{round}a").as_bytes()),
                Ok(())
            );
            assert_eq!(queues.enqueue(token, b""), Ok(()));
            assert_eq!(queues.enqueued(), before + 2);
            assert_eq!(dequeue(&queues, token), Ok(format!("{round}a")));
            assert_eq!(dequeue(&queues, token), Ok(String::new()));
            assert_eq!(dequeue(&queues, token), Err(Status::Empty));
        }
        assert_eq!(queues.enqueue(99, b"x"), Err(Status::NotFound));
        assert_eq!(dequeue(&queues, 99), Err(Status::NotFound));
    }

    #[test]
    fn an_item_that_was_claimed_by_the_dead_is_passed_over() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        for item in ["one", "two", "three"] {
            assert_eq!(queues.enqueue(token, item.as_bytes()), Ok(()));
        }
        assert_eq!(store.increment(&numbered(b"c", token, 1), 1.0), Some(1.0));
        assert_eq!(dequeue(&queues, token), Ok("two".to_owned()));
        assert_eq!(dequeue(&queues, token), Ok("three".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty));
        assert_eq!(queues.enqueue(token, b"four"), Ok(()));
        assert_eq!(dequeue(&queues, token), Ok("four".to_owned()));
    }

    #[test]
    fn a_full_store_refuses_and_keeps() {
        let store = Rc::new(HeapStore::with_room(8));
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(queues.enqueue(token, b"kept"), Ok(()));
        assert_eq!(queues.enqueue(token, b"more"), Err(Status::InternalFailure));
        assert_eq!(dequeue(&queues, token), Ok("kept".to_owned()));
        assert_eq!(queues.enqueue(token, b"more"), Ok(()));
        assert_eq!(dequeue(&queues, token), Ok("more".to_owned()));
    }
}
