//! The http contexts of one plugin: found by request once per call from Lua,
//! and by id many times in it. So each look-up remembers what it found last.

use std::cell::Cell;
use std::rc::Rc;

use super::contexts::HttpContext;
use super::front_map::FrontMap;
use super::request::RequestState;
use crate::host::Request;

/// Where a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    id: u32,
    slot: u32,
}

#[derive(Default)]
pub struct HttpContexts {
    slots: Vec<Option<HttpContext>>,
    /// Slots without a context.
    free: Vec<u32>,
    /// The id in each slot, 0 without a context: close together, so that a
    /// guest's id is found by looking through. That is seldom needed.
    ids: Vec<u32>,
    by_request: FrontMap<(Request, u32), Place>,
    last_id: Cell<Option<Place>>,
    last_request: Cell<Option<((Request, u32), Place)>>,
}

impl HttpContexts {
    fn slot(&self, id: u32) -> Option<usize> {
        if let Some(last) = self.last_id.get()
            && last.id == id
        {
            return Some(last.slot as usize);
        }
        if id == 0 {
            return None;
        }
        let slot = self.ids.iter().position(|known| *known == id)?;
        self.last_id.set(Some(Place {
            id,
            slot: slot as u32,
        }));
        Some(slot)
    }

    pub fn get(&self, id: &u32) -> Option<&HttpContext> {
        self.slots[self.slot(*id)?].as_ref()
    }

    pub fn get_mut(&mut self, id: &u32) -> Option<&mut HttpContext> {
        let slot = self.slot(*id)?;
        self.slots[slot].as_mut()
    }

    pub fn contains_key(&self, id: &u32) -> bool {
        self.slot(*id).is_some()
    }

    /// The id of the context that a request last had under a root.
    pub fn of_request(&self, request: Request, root: u32) -> Option<u32> {
        let key = (request, root);
        let place = match self.last_request.get() {
            Some((last, place)) if last == key => place,
            _ => {
                let place = *self.by_request.get(&key)?;
                self.last_request.set(Some((key, place)));
                place
            }
        };
        self.last_id.set(Some(place));
        Some(place.id)
    }

    pub fn insert(&mut self, id: u32, root: u32, serial: u32, request: Rc<RequestState>) {
        let key = (request.request, root);
        let context = Some(HttpContext::new(id, root, serial, request));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = context;
                self.ids[slot as usize] = id;
                slot
            }
            None => {
                self.slots.push(context);
                self.ids.push(id);
                self.slots.len() as u32 - 1
            }
        };
        let place = Place { id, slot };
        self.by_request.insert(key, place);
        self.last_id.set(Some(place));
        self.last_request.set(Some((key, place)));
    }

    /// Forgets a context and gives its root and its request.
    pub fn remove(&mut self, id: &u32) -> Option<(u32, Rc<RequestState>)> {
        let slot = self.slot(*id)?;
        self.last_id.set(None);
        self.last_request.set(None);
        self.free.push(slot as u32);
        self.ids[slot] = 0;
        let HttpContext { root, request, .. } = self.slots[slot].take()?;
        let key = (request.request, root);
        // A later request at the same address may have taken the place.
        self.by_request.remove_if(&key, |place| place.id == *id);
        Some((root, request))
    }

    pub fn values(&self) -> impl Iterator<Item = &HttpContext> {
        // Free slots are passed over without a look at them.
        let used = self.ids.iter().zip(&self.slots).filter(|(id, _)| **id != 0);
        used.filter_map(|(_, slot)| slot.as_ref())
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut HttpContext> {
        self.slots.iter_mut().flatten()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
