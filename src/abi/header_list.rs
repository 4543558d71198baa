//! A list of headers in one piece of memory, which is reused.

use std::cell::RefCell;
use std::fmt;

use super::limits::{MAX_SPARE_LIST_BYTES, MAX_SPARE_LISTS};

/// Headers in order: lower-cased names, values.
#[derive(Clone, Default)]
pub struct HeaderList {
    bytes: Vec<u8>,
    /// Where each name and its value are.
    bounds: Vec<Bounds>,
}

/// Begin and end of a name, and of its value.
#[derive(Clone, Copy)]
struct Bounds {
    name: (u32, u32),
    value: (u32, u32),
}

thread_local! {
    static SPARE: RefCell<Vec<HeaderList>> = const { RefCell::new(Vec::new()) };
}

impl HeaderList {
    /// An empty list.
    pub fn new() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.extend(std::iter::once((name, value)));
    }

    /// Adds headers in their order. All names lie together: so they are put in
    /// lower case in one go.
    pub fn extend<'a>(&mut self, headers: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) {
        let sizes = headers
            .clone()
            .map(|(name, value)| name.len() + value.len());
        self.bytes.reserve(sizes.sum());
        let mut begin = self.bytes.len();
        for (name, _) in headers.clone() {
            self.bytes.extend_from_slice(name);
        }
        self.bytes[begin..].make_ascii_lowercase();
        for (name, value) in headers {
            let (middle, value_begin) = (begin + name.len(), self.bytes.len());
            self.bytes.extend_from_slice(value);
            self.bounds.push(Bounds {
                name: (begin as u32, middle as u32),
                value: (value_begin as u32, self.bytes.len() as u32),
            });
            begin = middle;
        }
    }

    /// Removes every value of a header; `name` in any case.
    pub fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.bounds
            .retain(|bounds| !part(bytes, bounds.name).eq_ignore_ascii_case(name));
    }

    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.bounds.iter().map(|bounds| {
            (
                part(&self.bytes, bounds.name),
                part(&self.bytes, bounds.value),
            )
        })
    }

    /// Keeps the memory for the next list.
    pub fn recycle(mut self) {
        if self.bytes.capacity() > MAX_SPARE_LIST_BYTES {
            return;
        }
        self.bytes.clear();
        self.bounds.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE_LISTS {
                spare.push(self);
            }
        });
    }
}

fn part(bytes: &[u8], (begin, end): (u32, u32)) -> &[u8] {
    &bytes[begin as usize..end as usize]
}

impl PartialEq for HeaderList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for HeaderList {}

impl fmt::Debug for HeaderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_list()
            .entries(self.iter().map(|(name, value)| (text(name), text(value))))
            .finish()
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
        let more: [(&[u8], &[u8]); 3] = [(b"X-TWO", b""), (b"", b"V"), (b"Set-Cookie", b"C")];
        list.extend(more.into_iter());
        assert_eq!(list.len(), 6);

        list.remove(b"SET-Cookie");
        let left: Vec<_> = list.iter().collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"x-one", b"1"), (b"x-two", b""), (b"", b"V")];
        assert_eq!(left, expected);

        list.recycle();
        assert!(HeaderList::new().is_empty());
    }
}
