//! A list of headers in one piece of memory, which is reused.

use std::cell::RefCell;

/// Headers in order: lower-cased names, values.
#[derive(Default)]
pub struct HeaderList {
    bytes: Vec<u8>,
    /// Where each name begins, where its value begins, where that ends.
    bounds: Vec<(u32, u32, u32)>,
}

/// Lists that wait to be used again; more than a few requests at a time are
/// seldom in their header filter.
const MAX_SPARE: usize = 16;

/// Bytes above which a list is not kept.
const MAX_SPARE_BYTES: usize = 64 << 10;

thread_local! {
    static SPARE: RefCell<Vec<HeaderList>> = const { RefCell::new(Vec::new()) };
}

impl HeaderList {
    /// An empty list.
    pub fn new() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes[begin..].make_ascii_lowercase();
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.bounds
            .push((begin as u32, middle as u32, self.bytes.len() as u32));
    }

    /// Removes every value of a header; `name` in any case.
    pub fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.bounds.retain(|(begin, middle, _)| {
            !bytes[*begin as usize..*middle as usize].eq_ignore_ascii_case(name)
        });
    }

    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.bounds.iter().map(|&(begin, middle, end)| {
            (
                &self.bytes[begin as usize..middle as usize],
                &self.bytes[middle as usize..end as usize],
            )
        })
    }

    /// Keeps the memory for the next list.
    pub fn recycle(mut self) {
        if self.bytes.capacity() > MAX_SPARE_BYTES {
            return;
        }
        self.bytes.clear();
        self.bounds.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE {
                spare.push(self);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderList;

    #[test]
    fn names_are_lower_cased_and_removed_in_any_case() {
        let mut list = HeaderList::new();
        list.push(b"Set-Cookie", b"a");
        list.push(b"X-One", b"1");
        list.push(b"set-cookie", b"B");
        assert_eq!(list.len(), 3);

        list.remove(b"SET-Cookie");
        let left: Vec<_> = list.iter().collect();
        assert_eq!(left, [(&b"x-one"[..], &b"1"[..])]);

        list.recycle();
        assert!(HeaderList::new().is_empty());
    }
}
