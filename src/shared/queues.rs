//! Shared queues (spec: "Shared Queues"): each item is dequeued exactly once,
//! by whichever worker is first.
//!
//! Items are entries 1, 2, 3, …; `tail` is the last one's number, `head` that
//! of the last one dequeued. Who changes them has a claim on the queue. One
//! that dies may leave the next item there that nobody counts, or a number
//! without its item.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::account::{Account, cost};
use super::claim::{self, Turn};
use super::{Error, Numbers, count, entry, scope_of_vm};
use crate::abi::Status;
use crate::abi::limits::{Limits, MAX_QUEUE_NAME, MAX_QUEUES};
use crate::host::store::{Full, Store};

/// Counts the queues of all plugins: a token is a queue's number.
const QUEUES: &[u8] = b"Q";

/// Counts what was ever enqueued anywhere: one number tells that something
/// came.
const ENQUEUED: &[u8] = b"E";

pub struct Queues {
    store: Rc<dyn Store>,
    scope: Vec<u8>,
    max_value: usize,
    account: Rc<Account>,
    tokens: Numbers,
    /// Tokens that this plugin has got, and on whose account their items are:
    /// they are small numbers, and another plugin's queue is not to be found by
    /// counting.
    known: RefCell<BTreeMap<u32, Rc<Account>>>,
}

fn name_of(scope: &[u8], name: &[u8]) -> Vec<u8> {
    entry(b"q", &[scope, name])
}

fn of(kind: &[u8], token: u32) -> Vec<u8> {
    entry(kind, &[&token.to_le_bytes()])
}

/// What an item of this size takes.
fn room_of(value: usize) -> usize {
    cost(item_of(0, 0).len(), value)
}

fn item_of(token: u32, number: u64) -> Vec<u8> {
    entry(b"i", &[&token.to_le_bytes(), &number.to_le_bytes()])
}

impl Queues {
    pub fn new(store: Rc<dyn Store>, scope: &[u8], account: Rc<Account>, limits: &Limits) -> Self {
        Queues {
            store,
            scope: scope.to_vec(),
            max_value: limits.shared_value,
            account,
            tokens: Numbers::new(QUEUES),
            known: RefCell::default(),
        }
    }

    /// Keeps the token of a queue of its own.
    fn learn(&self, token: u32) -> u32 {
        self.learn_of(token, || self.account.clone())
    }

    fn learn_of(&self, token: u32, account: impl FnOnce() -> Rc<Account>) -> u32 {
        self.known.borrow_mut().entry(token).or_insert_with(account);
        token
    }

    /// Whose account a queue's items are on: its owner's, whoever puts them in or
    /// takes them out.
    ///
    /// Errors: [`Status::NotFound`] for a token that this plugin has not got.
    fn account_of(&self, token: u32) -> Result<Rc<Account>, Status> {
        let known = self.known.borrow();
        known.get(&token).cloned().ok_or(Status::NotFound)
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
        let counters = 2 * cost(of(b"h", 0).len(), size_of::<f64>());
        let names = cost(entry.len(), size_of::<f64>()) + claim::room_of(&of(b"q", 0));
        let room = names + counters;
        self.account.take(room)?;
        let own = self.own();
        // Counted first: so there are never more. What finds no room costs
        // nothing.
        let made = count(&*self.store, &own).and_then(|_| {
            let made = self.make(&entry);
            if !matches!(made, Ok(Some(_))) {
                self.store.increment(&own, -1.0);
            }
            made
        });
        if let Ok(Some(token)) = made {
            return Ok(self.learn(token));
        }
        self.account.give(room);
        made.map_err(full)?;
        // Another worker was first.
        let token = self.store.number(&entry).ok_or(Status::InternalFailure)?;
        Ok(self.learn(token as u32))
    }

    /// Makes a queue and gives its token. `None`: there is one of this name.
    fn make(&self, entry: &[u8]) -> Result<Option<u32>, Full> {
        let token = self.tokens.take(&*self.store)?;
        let made = self.make_entries(entry, token);
        if made == Ok(true) {
            return Ok(Some(token));
        }
        self.store.remove(&of(b"h", token));
        self.store.remove(&of(b"t", token));
        self.tokens.give(token);
        made.map(|_| None)
    }

    /// Makes the entries of a queue. False: there is one of this name.
    fn make_entries(&self, entry: &[u8], token: u32) -> Result<bool, Full> {
        // The counters first: whoever knows the token finds them.
        self.store.add_number(&of(b"h", token), 0.0)?;
        self.store.add_number(&of(b"t", token), 0.0)?;
        self.store.add_number(entry, token.into())
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
        Ok(match vm_id.is_empty() {
            true => self.learn(token as u32),
            false => self.learn_of(token as u32, || {
                Rc::new(self.account.of(&scope_of_vm(vm_id)))
            }),
        })
    }

    /// Errors: [`Status::NotFound`] for an unknown token,
    /// [`Status::BadArgument`] for too large a value,
    /// [`Status::InternalFailure`] when the store is full, [`Error::Busy`].
    pub fn enqueue(&self, token: u32, value: &[u8]) -> Result<(), Error> {
        if value.len() > self.max_value {
            return Err(Status::BadArgument.into());
        }
        let account = self.account_of(token)?;
        let room = room_of(value.len());
        let enqueued = self.with_claim(token, |head_and_tail, _| {
            let tail = head_and_tail?.1 + 1;
            let item = item_of(token, tail);
            account.take(room)?;
            let mut added = self.store.add(&item, value);
            if added == Ok(false) {
                // Left by one who died before it was counted.
                self.drop_item(&item, &account);
                added = self.store.add(&item, value);
            }
            if added != Ok(true) {
                account.give(room);
                return Err(Status::InternalFailure);
            }
            self.store.increment(&of(b"t", token), 1.0);
            Ok(())
        });
        enqueued?;
        let _ = count(&*self.store, ENQUEUED);
        Ok(())
    }

    /// Appends the oldest item that nobody has.
    ///
    /// Errors: [`Status::NotFound`] for an unknown token, [`Status::Empty`],
    /// [`Error::Busy`].
    pub fn dequeue(&self, token: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        let account = self.account_of(token)?;
        // Waiting for a claim is no use where there is nothing.
        if self.is_empty(token) {
            self.count_of(b"h", token)?;
            return Err(Status::Empty.into());
        }
        self.with_claim(token, |head_and_tail, _| {
            let (head, tail) = head_and_tail?;
            for number in head + 1..=tail {
                let item = item_of(token, number);
                let start = out.len();
                let found = self.store.get(&item, out);
                if found {
                    self.store.remove(&item);
                    account.give(room_of(out.len() - start));
                }
                self.store.increment(&of(b"h", token), 1.0);
                // One that is not there went with a worker that died before
                // it was counted.
                if found {
                    return Ok(());
                }
            }
            Err(Status::Empty)
        })
    }

    /// Puts an item back that was just taken out: again it is the oldest.
    ///
    /// Errors: [`Status::NotFound`] for an unknown token,
    /// [`Status::InternalFailure`] when its place is taken already in a store
    /// that is full, [`Error::Busy`].
    pub fn put_back(&self, token: u32, value: &[u8]) -> Result<(), Error> {
        let account = self.account_of(token)?;
        self.with_claim(token, |head_and_tail, turn| {
            let (head, _) = head_and_tail?;
            if head == 0 {
                return Err(Status::InternalFailure);
            }
            let item = item_of(token, head);
            let room = room_of(value.len());
            // Counted first: who dies in between has taken the item along.
            self.store.increment(&of(b"h", token), -1.0);
            account.retake(room);
            let mut added = self.store.add(&item, value);
            if added.is_err() {
                // The claim may lie in its place.
                turn.give_up_reserve();
                added = self.store.add(&item, value);
            }
            if added.is_ok() {
                return Ok(());
            }
            account.give(room);
            self.store.increment(&of(b"h", token), 1.0);
            Err(Status::InternalFailure)
        })
    }

    fn drop_item(&self, item: &[u8], account: &Account) {
        let mut value = Vec::new();
        if self.store.get(item, &mut value) {
            self.store.remove(item);
            account.give(room_of(value.len()));
        }
    }

    /// Runs `work` with head and tail while nobody else changes them.
    fn with_claim<R>(
        &self,
        token: u32,
        work: impl FnOnce(Result<(u64, u64), Status>, &Turn) -> Result<R, Status>,
    ) -> Result<R, Error> {
        // Nothing is left behind in the name of a queue that is none.
        self.count_of(b"h", token)?;
        let claimed = claim::with(&*self.store, &of(b"q", token), |turn| {
            let counts = self.count_of(b"h", token);
            let counts = counts.and_then(|head| Ok((head, self.count_of(b"t", token)?)));
            work(counts, turn)
        });
        Ok(claimed??)
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

    fn in_scope(store: &Rc<HeapStore>, scope: &[u8]) -> Queues {
        let account = Account::new(store.clone(), scope, None);
        let limits = Limits::default();
        Queues::new(store.clone(), scope, account.into(), &limits)
    }

    /// Those of a VM id.
    fn queues(store: &Rc<HeapStore>, vm_id: &str) -> Queues {
        in_scope(store, &scope_of_vm(vm_id.as_bytes()))
    }

    fn dequeue(queues: &Queues, token: u32) -> Result<String, Error> {
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
        let own = in_scope(&store, &crate::shared::scope(None, b"a"));
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
        assert_eq!(dequeue(&b, token), Err(Status::NotFound.into()));
        assert_eq!(b.enqueue(token, b"two"), Err(Status::NotFound.into()));
        assert_eq!(b.resolve(b"a", b"q"), Ok(token));
        assert_eq!(dequeue(&b, token), Ok("one".to_owned()));
    }

    #[test]
    fn items_come_out_in_order_and_once() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
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
            assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
        }
        assert_eq!(queues.enqueue(99, b"x"), Err(Status::NotFound.into()));
        assert_eq!(dequeue(&queues, 99), Err(Status::NotFound.into()));
    }

    #[test]
    fn an_item_that_is_put_back_is_the_oldest_again() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        for item in ["one", "two", "three"] {
            assert_eq!(queues.enqueue(token, item.as_bytes()), Ok(()));
        }
        let (used, taken) = (store.used(), queues.account.taken());
        assert_eq!(dequeue(&queues, token), Ok("one".to_owned()));
        assert_eq!(queues.put_back(token, b"one"), Ok(()));
        assert_eq!((store.used(), queues.account.taken()), (used, taken));
        assert_eq!(dequeue(&queues, token), Ok("one".to_owned()));
        // Others were taken out meanwhile.
        assert_eq!(dequeue(&queues, token), Ok("two".to_owned()));
        assert_eq!(queues.put_back(token, b"one"), Ok(()));
        for item in ["one", "three"] {
            assert!(!queues.is_empty(token));
            assert_eq!(dequeue(&queues, token), Ok(item.to_owned()));
        }
        assert!(queues.is_empty(token));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
        assert_eq!(queues.put_back(99, b"x"), Err(Status::NotFound.into()));
    }

    #[test]
    fn an_item_is_put_back_on_an_account_that_has_no_more() {
        let store = Rc::new(HeapStore::default());
        let scope = scope_of_vm(b"a");
        let account = Account::new(store.clone(), &scope, Some(5000));
        let limits = Limits::default();
        let queues = Queues::new(store.clone(), &scope, account.into(), &limits);
        let token = queues.register(b"q").expect("room");
        while queues.enqueue(token, b"item").is_ok() {}
        let taken = queues.account.taken();
        assert_eq!(dequeue(&queues, token), Ok("item".to_owned()));
        assert_eq!(queues.enqueue(token, b"last"), Ok(()));
        assert_eq!(queues.put_back(token, b"item"), Ok(()));
        assert!(queues.account.taken() > taken);
    }

    /// What a worker leaves that is killed between two steps.
    #[test]
    fn a_crash_between_the_steps_harms_nobody() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        let taken = queues.account.taken();
        // Added, not counted.
        assert_eq!(queues.account.take(room_of(4)), Ok(()));
        assert_eq!(store.add(&item_of(token, 1), b"lost"), Ok(true));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
        assert_eq!(queues.enqueue(token, b"one"), Ok(()));
        assert_eq!(queues.enqueue(token, b"two"), Ok(()));
        // Removed, not counted.
        store.remove(&item_of(token, 1));
        assert_eq!(dequeue(&queues, token), Ok("two".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
        // As much as the one item that was removed here.
        let left = queues.account.taken() - taken;
        assert_eq!(left, room_of(3) as f64);
    }

    #[test]
    fn a_full_store_refuses_keeps_and_can_be_emptied() {
        let store = Rc::new(HeapStore::with_room(9));
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(queues.enqueue(token, b"kept"), Ok(()));
        assert_eq!(
            queues.enqueue(token, b"more"),
            Err(Status::InternalFailure.into())
        );
        assert_eq!(dequeue(&queues, token), Ok("kept".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
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

    #[test]
    fn what_finds_no_room_uses_nothing_up() {
        let store = Rc::new(HeapStore::with_room(4));
        let queues = queues(&store, "a");
        for number in 0..MAX_QUEUES + 100 {
            let refused = queues.register(&number.to_le_bytes());
            assert_eq!(refused, Err(Status::InternalFailure));
        }
        assert!(!queues.has_all());
        assert_eq!(store.number(&queues.own()), Some(0.0));
        assert_eq!(store.number(QUEUES), Some(1.0));
        assert_eq!(queues.account.taken(), 0.0);
        // Room again: as if nothing had happened.
        store.set_room(0);
        assert_eq!(queues.register(b"one"), Ok(1));
        assert_eq!(queues.register(b"two"), Ok(2));
    }

    #[test]
    fn a_queue_in_the_middle_of_a_change_is_busy_and_loses_nothing() {
        let store = Rc::new(HeapStore::default());
        let queues = queues(&store, "a");
        let token = queues.register(b"q").expect("room");
        assert_eq!(queues.enqueue(token, b"one"), Ok(()));
        let held = claim::with(&*store, &of(b"q", token), |_| {
            assert_eq!(queues.enqueue(token, b"two"), Err(Error::Busy));
            assert_eq!(dequeue(&queues, token), Err(Error::Busy));
        });
        assert_eq!(held, Ok(()));
        assert_eq!(dequeue(&queues, token), Ok("one".to_owned()));
        assert_eq!(dequeue(&queues, token), Err(Status::Empty.into()));
    }

    #[test]
    fn items_are_on_their_queues_account_whoever_takes_them_out() {
        let store = Rc::new(HeapStore::default());
        let with_limit = |vm_id: &[u8], limit| {
            let scope = scope_of_vm(vm_id);
            let account = Account::new(store.clone(), &scope, Some(limit));
            let limits = Limits::default();
            Queues::new(store.clone(), &scope, account.into(), &limits)
        };
        let (owner, guest) = (with_limit(b"a", 20_000), with_limit(b"b", 20_000));
        let token = owner.register(b"q").expect("room");
        assert_eq!(guest.resolve(b"a", b"q"), Ok(token));
        let fill = |queues: &Queues| {
            let all = (0..1000).take_while(|_| queues.enqueue(token, &[b'x'; 900]).is_ok());
            all.count()
        };
        let room = fill(&owner);
        assert!((10..20).contains(&room), "{room}");
        assert_eq!(fill(&guest), 0);
        // What the guest takes out is room for both, and for no more.
        for _ in 0..room {
            assert!(dequeue(&guest, token).is_ok());
        }
        assert_eq!(fill(&guest), room);
        let own = guest.register(b"q").expect("room of its own");
        assert_ne!(own, token);
        // A queue takes room, too.
        let more = (0..10_000_u32).take_while(|n| guest.register(&n.to_le_bytes()).is_ok());
        assert!(more.count() < 100);
    }
}
