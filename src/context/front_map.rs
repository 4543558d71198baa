//! A map for keys that mostly come and go one after another: the newest entry
//! stands in front of the hash map, so that a worker whose requests do not
//! overlap never touches that.

use std::hash::Hash;

use super::hasher::FastMap;

pub struct FrontMap<K, V> {
    front: Option<(K, V)>,
    behind: FastMap<K, V>,
}

impl<K, V> Default for FrontMap<K, V> {
    fn default() -> Self {
        FrontMap {
            front: None,
            behind: FastMap::default(),
        }
    }
}

impl<K: Eq + Hash, V> FrontMap<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        match &self.front {
            Some((front, value)) if front == key => Some(value),
            _ if self.behind.is_empty() => None,
            _ => self.behind.get(key),
        }
    }

    /// Takes an entry in, in place of one of the same key.
    pub fn insert(&mut self, key: K, value: V) {
        match self.front.replace((key, value)) {
            Some((older, value)) if self.front.as_ref().is_none_or(|(key, _)| *key != older) => {
                self.behind.insert(older, value);
            }
            _ => {}
        }
        if !self.behind.is_empty()
            && let Some((key, _)) = &self.front
        {
            self.behind.remove(key);
        }
    }

    /// Forgets the entry of a key if `condition` holds for it.
    pub fn remove_if(&mut self, key: &K, condition: impl FnOnce(&V) -> bool) -> Option<V> {
        if !condition(self.get(key)?) {
            return None;
        }
        match self.front.take_if(|(front, _)| front == key) {
            Some((_, value)) => Some(value),
            None => self.behind.remove(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FrontMap;

    #[test]
    fn entries_are_found_in_front_and_behind() {
        let mut map = FrontMap::default();
        for key in 1..=3 {
            map.insert(key, key * 10);
        }
        assert_eq!(
            [1, 2, 3, 4].map(|key| map.get(&key).copied()),
            [Some(10), Some(20), Some(30), None]
        );
        assert_eq!(map.remove_if(&3, |_| true), Some(30));
        assert_eq!(map.remove_if(&1, |_| true), Some(10));
        assert_eq!(
            [1, 2, 3].map(|key| map.get(&key).copied()),
            [None, Some(20), None]
        );
    }

    #[test]
    fn a_key_has_one_entry_wherever_it_was() {
        let mut map = FrontMap::default();
        map.insert(1, "behind");
        map.insert(2, "front");
        map.insert(1, "new");
        assert_eq!(map.get(&1), Some(&"new"));
        assert_eq!(map.remove_if(&1, |_| true), Some("new"));
        assert_eq!(map.get(&1), None);
        assert_eq!(map.get(&2), Some(&"front"));
        map.insert(2, "again");
        map.insert(3, "other");
        assert_eq!(map.remove_if(&2, |_| true), Some("again"));
        assert_eq!(map.get(&2), None);
    }

    #[test]
    fn an_entry_stays_when_the_condition_fails() {
        let mut map = FrontMap::default();
        map.insert(1, 10);
        assert_eq!(map.remove_if(&1, |value| *value == 11), None);
        assert_eq!(map.get(&1), Some(&10));
    }
}
