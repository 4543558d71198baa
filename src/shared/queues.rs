//! Shared queues (spec: "Shared Queues"): each item is dequeued exactly once,
//! by whichever worker is first.
//!
//! Items are entries 1, 2, 3, …; `tail` is the last one's number, `head` that
//! of the last one dequeued. Who changes them has a claim on the queue. One
//! that dies may leave an entry behind that nobody counts, and no more.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::claim;
use super::{count, entry, scope_of_vm};
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
    /// Tokens that this plugin has got: they are small numbers, and another
    /// plugin's queue is not to be found by counting.
    known: RefCell<BTreeSet<u32>>,
}

fn name_of(scope: &[u8], name: &[u8]) -> Vec<u8> {
    entry(b"q", &[scope, name])
}

fn of(kind: &[u8], token: u32) -> Vec<u8> {
    entry(kind, &[&token.to_le_bytes()])
}

fn item_of(token: u32, number: u64) -> Vec<u8> {
    entry(b"i", &[&token.to_le_bytes(), &number.to_le_bytes()])
}

impl Queues {
    pub fn new(store: Rc<dyn Store>, scope: &[u8]) -> Self {
        Queues {
            store,
            scope: scope.to_vec(),
            known: RefCell::default(),
        }
    }

    fn learn(&self, token: u32) -> u32 {
        self.known.borrow_mut().insert(token);
        token
    }

    /// Errors: [`Status::NotFound`] for a token that this plugin has not got.
    fn check(&self, token: u32) -> Result<(), Status> {
        match self.known.borrow().contains(&token) {
            true => Ok(()),
            false => Err(Status::NotFound),
        }
    }

    /// Counts the queues of this scope.
    fn own(&self) -> Vec<u8> {
        entry(QUEUES, &[&self.scope])
    }

    /// True when there are all queues that a VM id may have.
    pub fn has_all(&self) -> bool {
        self.store.number(&self.own()).unwrap_or(0.0) >= f64::from(MAX_QUEUES)
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
            return Ok(self.learn(token as u32));
        }
        if self.has_all() {
            return Err(Status::InternalFailure);
        }
        // Counted first, whatever comes of it.
        count(&*self.store, &self.own()).map_err(full)?;
        let token = count(&*self.store, QUEUES).map_err(full)?;
        // The counters first: whoever knows the token finds them.
        self.store
            .add_number(&of(b"h", token as u32), 0.0)
            .map_err(full)?;
        self.store
            .add_number(&of(b"t", token as u32), 0.0)
            .map_err(full)?;
        if self.store.add_number(&entry, token).map_err(full)? {
            return Ok(self.learn(token as u32));
        }
        // Another worker was first; this number stays unused.
        self.store.remove(&of(b"h", token as u32));
        self.store.remove(&of(b"t", token as u32));
        let token = self.store.number(&entry).ok_or(Status::InternalFailure)?;
        Ok(self.learn(token as u32))
    }

    /// The token of a queue that somebody registered; an empty VM id is one's
    /// own.
    ///
    /// Errors: [`Status::NotFound`].
    pub fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let entry = match vm_id.is_empty() {
            true => name_of(&self.scope, name),
            false => name_of(&scope_of_vm(vm_id), name),
        };
        let token = self.store.number(&entry).ok_or(Status::NotFound)?;
        Ok(self.learn(token as u32))
    }

    /// Errors: [`Status::NotFound`] for an unknown token,
    /// [`Status::BadArgument`] for too large a value,
    /// [`Status::InternalFailure`] when the store is full.
    pub fn enqueue(&self, token: u32, value: &[u8]) -> Result<(), Status> {
        if value.len() > MAX_SHARED_VALUE {
            return Err(Status::BadArgument);
        }
        self.check(token)?;
        let enqueued = self.with_claim(token, |head_and_tail| {
            let tail = head_and_tail?.1 + 1;
            // Left by one who died before it was counted.
            self.store.remove(&item_of(token, tail));
            let added = self.store.add(&item_of(token, tail), value);
            added.map_err(|_| Status::InternalFailure)?;
            self.store.increment(&of(b"t", token), 1.0);
            Ok(())
        });
        enqueued?;
        let _ = count(&*self.store, ENQUEUED);
        Ok(())
    }

    /// Appends the oldest item that nobody has.
    ///
    /// Errors: [`Status::NotFound`] for an unknown token, [`Status::Empty`].
    pub fn dequeue(&self, token: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        self.check(token)?;
        // Waiting for a claim is no use where there is nothing.
        if self.is_empty(token) {
            self.count_of(b"h", token)?;
            return Err(Status::Empty);
        }
        self.with_claim(token, |head_and_tail| {
            let (head, tail) = head_and_tail?;
            if head >= tail {
                return Err(Status::Empty);
            }
            let item = item_of(token, head + 1);
            let found = self.store.get(&item, out);
            self.store.increment(&of(b"h", token), 1.0);
            self.store.remove(&item);
            if found { Ok(()) } else { Err(Status::Empty) }
        })
    }

    /// Runs `work` with head and tail while nobody else changes them.
    fn with_claim<R>(
        &self,
        token: u32,
        work: impl FnOnce(Result<(u64, u64), Status>) -> Result<R, Status>,
    ) -> Result<R, Status> {
        // Nothing is left behind in the name of a queue that is none.
        self.count_of(b"h", token)?;
        let claimed = claim::with(&*self.store, &of(b"q", token), || {
            let counts = self.count_of(b"h", token);
            work(counts.and_then(|head| Ok((head, self.count_of(b"t", token)?))))
        });
        claimed.unwrap_or(Err(Status::InternalFailure))
    }

    /// Errors: [`Status::NotFound`] for an unknown token.
    fn count_of(&self, kind: &[u8], token: u32) -> Result<u64, Status> {
        let count = self.store.number(&of(kind, token));
        count.map(|count| count as u64).ok_or(Status::NotFound)
    }

    /// The number of the last item that was enqueued.
    pub fn last(&self, token: u32) -> u64 {
        self.count_of(b"t", token).unwrap_or(0)
    }

    /// The number of the last item that was dequeued.
    pub fn dequeued(&self, token: u32) -> u64 {
        self.count_of(b"h", token).unwrap_or(0)
    }

    /// True when every item was dequeued.
    pub fn is_empty(&self, token: u32) -> bool {
        self.dequeued(token) >= self.last(token)
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

    /// Those of a VM id.
    fn queues(store: &Rc<HeapStore>, vm_id: &str) -> Queues {
        Queues::new(store.clone(), &scope_of_vm(vm_id.as_bytes()))
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
    fn a_plugin_of_no_vm_id_has_queues_that_no_vm_id_leads_to() {
        let store = Rc::new(HeapStore::default());
        let own = Queues::new(store.clone(), &crate::shared::scope(None, b"a"));
        let token = own.register(b"q").expect("room");
        let other = queues(&store, "a");
        for vm_id in ["a", "pa", "va", "p", "v"] {
            let resolved = other.resolve(vm_id.as_bytes(), b"q");
            assert_eq!(resolved, Err(Status::NotFound), "{vm_id}");
        }
        assert_eq!(other.resolve(b"", b"q"), Err(Status::NotFound));
        assert_eq!(own.resolve(b"", b"q"), Ok(token));
    }

    #[test]
    fn a_token_is_no_use_to_who_has_not_got_it() {
        let store = Rc::new(HeapStore::default());
        let (a, b) = (queues(&store, "a"), queues(&store, "b"));
        let token = a.register(b"q").expect("room");
        assert_eq!(a.enqueue(token, b"one"), Ok(()));
        assert_eq!(dequeue(&b, token), Err(Status::NotFound));
        assert_eq!(b.enqueue(token, b"two"), Err(Status::NotFound));
        assert_eq!(b.resolve(b"a", b"q"), Ok(token));
        assert_eq!(dequeue(&b, token), Ok("one".to_owned()));
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

    /// What a worker leaves that is killed between two steps.
    #[test]
    fn a_crash_between_the_steps_harms_nobody() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        // Added, not counted.
        assert_eq!(store.add(&item_of(token, 1), b"lost"), Ok(true));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty));
        assert_eq!(queues.enqueue(token, b"one"), Ok(()));
        assert_eq!(queues.enqueue(token, b"two"), Ok(()));
        // Counted, not removed.
        assert_eq!(store.increment(&of(b"h", token), 1.0), Some(1.0));
        assert_eq!(dequeue(&queues, token), Ok("two".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty));
    }

    #[test]
    fn a_full_store_refuses_keeps_and_can_be_emptied() {
        let store = Rc::new(HeapStore::with_room(9));
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(queues.enqueue(token, b"kept"), Ok(()));
        assert_eq!(queues.enqueue(token, b"more"), Err(Status::InternalFailure));
        assert_eq!(dequeue(&queues, token), Ok("kept".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty));
    }

    #[test]
    fn a_scope_that_registers_without_end_harms_no_other() {
        let store = Rc::new(HeapStore::default());
        let (flood, other) = (queues(&store, "a"), queues(&store, "b"));
        let register = |number: u32| flood.register(format!("q{number}").as_bytes());
        for number in 0..MAX_QUEUES {
            assert_eq!(register(number), Ok(number + 1));
        }
        assert!(flood.has_all());
        for number in MAX_QUEUES..MAX_QUEUES + 100 {
            assert_eq!(register(number), Err(Status::InternalFailure));
        }
        assert_eq!(register(7), Ok(8));
        assert_eq!(other.register(b"q"), Ok(MAX_QUEUES + 1));
    }
}
