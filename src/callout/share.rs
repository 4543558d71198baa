//! The memory that the answers to one plugin's callouts may take: each, and all
//! that are under way together.

use std::cell::Cell;
use std::rc::Rc;

#[derive(Debug)]
pub struct Share {
    /// Bytes of one answer.
    pub each: usize,
    /// Bytes of all answers that are not delivered yet.
    pub all: usize,
    taken: Cell<usize>,
}

impl Share {
    pub fn new(each: usize, all: usize) -> Rc<Share> {
        Rc::new(Share {
            each,
            all,
            taken: Cell::new(0),
        })
    }

    /// Bytes that are taken.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }
}

/// What one answer has of it; given back with its end.
pub struct Part {
    share: Rc<Share>,
    bytes: usize,
}

impl Part {
    pub fn of(share: &Rc<Share>) -> Self {
        Part {
            share: share.clone(),
            bytes: 0,
        }
    }

    pub fn share(&self) -> &Share {
        &self.share
    }

    /// The answer holds so many bytes now. False: that is more than is left for
    /// all, and it must not keep them.
    pub fn set(&mut self, bytes: usize) -> bool {
        let taken = self.share.taken.get() - self.bytes + bytes;
        self.share.taken.set(taken);
        self.bytes = bytes;
        taken <= self.share.all
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.share.taken.set(self.share.taken.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Share};

    #[test]
    fn parts_are_counted_together_and_given_back() {
        let share = Share::new(100, 100);
        let (mut one, mut two) = (Part::of(&share), Part::of(&share));
        assert!(one.set(60));
        assert!(two.set(40));
        assert!(!two.set(41));
        assert!(one.set(59));
        assert_eq!(share.taken(), 100);
        drop(one);
        assert_eq!(share.taken(), 41);
        assert!(two.set(100));
        drop(two);
        assert_eq!(share.taken(), 0);
    }
}
