//! The store on a `lua_shared_dict`: nginx's own shared memory, which survives
//! reloads and the death of workers.
//!
//! Only safe operations: plain ones would evict what somebody else stored. And
//! only what nginx does in one step, as far as others can see it when a worker
//! is killed within: an entry is filled before it can be found, and a number is
//! eight bytes. What a kill does to nginx's own tree and lists is beyond us.
//! Every `unsafe` block here leans on one contract: the zone was given by this
//! nginx and lives as long as the process.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use super::store::{Full, Store};
use super::symbols::{NgxZone, Symbols};
use crate::abi::limits::MAX_DICT_KEY;

const OK: c_int = 0;
const DECLINED: c_int = -5;

// Operations of shdict_store.
const SAFE_ADD: c_int = 0x5;
const SAFE_SET: c_int = 0x4;
const SET: c_int = 0;

// Types of values, by Lua's numbers.
const NIL: c_int = 0;
const NUMBER: c_int = 3;
const STRING: c_int = 4;

/// Bytes that most values fit in; larger ones come in memory of malloc.
const ROOM: usize = 4096;

/// Names are written behind this: other Lua code may use the dict, too.
const PREFIX: &[u8] = b"pw:";

pub struct DictStore {
    symbols: Symbols,
    zone: *mut NgxZone,
}

enum Value<'a> {
    Bytes(&'a [u8]),
    Number(f64),
    Nothing,
}

impl DictStore {
    /// The store on the dict behind what `ngx.shared.NAME[1]` holds. `None`
    /// outside nginx, or when it is no dict.
    ///
    /// # Safety
    ///
    /// `userdata` must be that value.
    pub unsafe fn new(userdata: *mut c_void) -> Option<DictStore> {
        let symbols = Symbols::load().ok()?;
        // SAFETY: it is a dict's userdata, as promised.
        let zone = unsafe { (symbols.shdict_udata_to_zone)(userdata) };
        (!zone.is_null()).then_some(DictStore { symbols, zone })
    }

    fn name(name: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(PREFIX.len() + name.len());
        full.extend_from_slice(PREFIX);
        full.extend_from_slice(name);
        full
    }

    fn store(&self, operation: c_int, name: &[u8], value: Value) -> Result<bool, Full> {
        let name = Self::name(name);
        if name.len() > MAX_DICT_KEY {
            return Err(Full);
        }
        let (kind, bytes, number) = match value {
            Value::Bytes(bytes) => (STRING, bytes, 0.0),
            Value::Number(number) => (NUMBER, &[][..], number),
            Value::Nothing => (NIL, &[][..], 0.0),
        };
        let mut message = ptr::null_mut();
        let mut forcible = 0;
        let forever: c_long = 0;
        // SAFETY: the zone lives; name and value outlive the call, which
        // copies them.
        let code = unsafe {
            (self.symbols.shdict_store)(
                self.zone,
                operation,
                name.as_ptr(),
                name.len(),
                kind,
                bytes.as_ptr(),
                bytes.len(),
                number,
                forever,
                0,
                &mut message,
                &mut forcible,
            )
        };
        match code {
            OK => Ok(true),
            // It exists; without room the code is another.
            DECLINED => Ok(false),
            _ => Err(Full),
        }
    }

    /// Shows the value of an entry, by its full name. False: there is none.
    fn read(&self, name: &[u8], visit: &mut dyn FnMut(Value)) -> bool {
        let mut room = [0_u8; ROOM];
        let mut data = room.as_mut_ptr();
        let mut len = room.len();
        let mut kind = NIL;
        let mut number = 0.0;
        let mut flags = 0;
        let mut stale = 0;
        let mut message = ptr::null_mut();
        // SAFETY: the zone lives; all results outlive the call.
        let code = unsafe {
            (self.symbols.shdict_get)(
                self.zone,
                name.as_ptr(),
                name.len(),
                &mut kind,
                &mut data,
                &mut len,
                &mut number,
                &mut flags,
                0,
                &mut stale,
                &mut message,
            )
        };
        if code != OK {
            return false;
        }
        match kind {
            STRING => {
                // SAFETY: nginx gave `len` bytes there, which are ours.
                visit(Value::Bytes(unsafe {
                    std::slice::from_raw_parts(data, len)
                }));
                if data != room.as_mut_ptr() {
                    // SAFETY: it is memory of malloc, and ours to free.
                    unsafe { libc::free(data.cast()) };
                }
            }
            NUMBER => visit(Value::Number(number)),
            _ => return false,
        }
        true
    }
}

impl Store for DictStore {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full> {
        self.store(SAFE_ADD, name, Value::Bytes(value))
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        let mut found = false;
        self.read(&Self::name(name), &mut |read| {
            if let Value::Bytes(bytes) = read {
                value.extend_from_slice(bytes);
                found = true;
            }
        });
        found
    }

    fn remove(&self, name: &[u8]) {
        // Nothing in the place of something: this frees, and evicts nobody.
        let _ = self.store(SET, name, Value::Nothing);
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full> {
        self.store(SAFE_ADD, name, Value::Number(number))
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full> {
        self.store(SAFE_SET, name, Value::Number(number)).map(drop)
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        let mut found = None;
        self.read(&Self::name(name), &mut |read| {
            if let Value::Number(number) = read {
                found = Some(number);
            }
        });
        found
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        let name = Self::name(name);
        let mut number = by;
        let mut message = ptr::null_mut();
        let mut forcible = 0;
        let no_initial_value = 0;
        // SAFETY: the zone lives; name and number outlive the call.
        let code = unsafe {
            (self.symbols.shdict_incr)(
                self.zone,
                name.as_ptr(),
                name.len(),
                &mut number,
                &mut message,
                no_initial_value,
                0.0,
                0,
                &mut forcible,
            )
        };
        (code == OK).then_some(number)
    }

    fn capacity(&self) -> Option<usize> {
        let capacity = self.symbols.shdict_capacity?;
        // SAFETY: the zone lives.
        Some(unsafe { capacity(self.zone) })
    }
}
