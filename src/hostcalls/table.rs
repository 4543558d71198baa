//! The macro behind THE TABLE: from a row it makes the wasm signature, the
//! decoding of arguments, the range checks, the guest allocation and the
//! write-back, once for all host functions.

use crate::abi::Status;
use crate::context::State;
use crate::vm::guest::{self, Fault};
use crate::vm::{Budget, GuestCaller, WasmType};

/// What a host function works on: the state, where it puts the bytes that it
/// returns, and what it asks now and then when it takes long.
pub struct Call<'a> {
    pub state: &'a mut State,
    pub out: &'a mut Vec<u8>,
    pub budget: &'a mut Budget,
}

impl std::ops::Deref for Call<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl std::ops::DerefMut for Call<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state
    }
}

/// A row of the table.
pub struct Row {
    pub section: &'static str,
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// False: it answers UNIMPLEMENTED.
    pub built: bool,
}

/// True for a name of the table.
pub fn knows(name: &str) -> bool {
    super::TABLE
        .iter()
        .any(|row| row.name == name || row.aliases.contains(&name))
}

/// What became of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    Built,
    /// The specification's, but not built.
    Unimplemented,
    /// Ours, under another signature.
    WrongType,
    /// Nobody's.
    Unknown,
}

/// How a host function ends when it does not succeed.
pub(super) enum Failure {
    Status(Status),
    Fault(Fault),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Status(status)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

/// The i32 for the guest, or the error that ends the guest call.
pub(super) fn answer(result: Result<(), Failure>) -> crate::vm::guest::HostResult<i32> {
    let status = match result {
        Ok(()) => Status::Ok,
        Err(Failure::Status(status)) => status,
        Err(Failure::Fault(Fault::OutOfBounds)) => Status::InvalidMemoryAccess,
        Err(Failure::Fault(Fault::NoMemory)) => Status::InternalFailure,
        Err(Failure::Fault(Fault::End(error))) => return Err(error),
    };
    Ok(status.into())
}

/// Numbers that a host function returns beside its bytes, in the row's order.
pub(super) trait Numbers {
    fn numbers(self) -> [u64; 2];
}

impl Numbers for () {
    fn numbers(self) -> [u64; 2] {
        [0, 0]
    }
}

impl Numbers for u32 {
    fn numbers(self) -> [u64; 2] {
        [self.into(), 0]
    }
}

impl Numbers for u64 {
    fn numbers(self) -> [u64; 2] {
        [self, 0]
    }
}

impl Numbers for (u32, u32) {
    fn numbers(self) -> [u64; 2] {
        [self.0.into(), self.1.into()]
    }
}

/// Copies bytes to the guest. Its allocator may only log meanwhile.
pub(super) fn give(caller: &mut GuestCaller<'_, State>, bytes: &[u8]) -> Result<u32, Fault> {
    caller.data_mut().state.restricted = true;
    let given = guest::give(caller, bytes);
    caller.data_mut().state.restricted = false;
    given
}

/// True when an import has these parameters and the one i32 result that every
/// host function has.
pub(super) fn has_type(params: &[WasmType], results: &[WasmType], expected: &[WasmType]) -> bool {
    params == expected && results == [WasmType::I32]
}

macro_rules! table {
    ($($section:literal { $($name:literal $(| $alias:literal)* = $row:tt;)* })*) => {
        /// Every host function of the specification, in its order.
        pub const TABLE: &[Row] = &[$($(Row {
            section: $section,
            name: $name,
            aliases: &[$($alias),*],
            built: row!(@built $row),
        },)*)*];

        /// Defines the host function that an import of the module `env` asks
        /// for.
        ///
        /// Errors: the linker's, in words.
        pub fn link(
            linker: &mut GuestLinker<State>,
            module: &str,
            name: &str,
            params: &[WasmType],
            results: &[WasmType],
        ) -> Result<Linked, String> {
            match name {
                $($($name $(| $alias)* => {
                    row!(@link (linker, module, name, params, results) $name $row)
                })*)*
                _ => Ok(Linked::Unknown),
            }
        }
    };
}

/// One row: `{ unimplemented }` or
/// `{ section::function(argument: type, …) -> (result: type, …) }`.
macro_rules! row {
    (@built { unimplemented }) => { false };
    (@built $built:tt) => { true };
    (@link ($($import:ident),*) $name:literal { unimplemented }) => {
        Ok(Linked::Unimplemented)
    };
    (@link $import:tt $name:literal { $($function:ident)::+ ($($args:tt)*) -> ($($rets:tt)*) }) => {
        shim!(@args ($import $name ($($function)::+)) [] [] [] [$($args)* ,] [$($rets)* ,])
    };
}

/// Walks a row's arguments, then its results, and collects: the wasm
/// parameters with their names, their types, what to lift from them, what to
/// write back. Macro hygiene keeps the names of each step apart.
macro_rules! shim {
    // bytes: pointer and length
    (@args $c:tt [$($raw:tt)*] [$($sig:tt)*] [$($lift:tt)*] [$arg:ident: bytes, $($rest:tt)*] $rets:tt) => {
        shim!(@args $c [$($raw)* $arg: u32, len: u32,] [$($sig)* I32 I32]
            [$($lift)* (bytes $arg len)] [$($rest)*] $rets)
    };
    (@args $c:tt [$($raw:tt)*] [$($sig:tt)*] [$($lift:tt)*] [$arg:ident: u32, $($rest:tt)*] $rets:tt) => {
        shim!(@args $c [$($raw)* $arg: u32,] [$($sig)* I32] [$($lift)* (number $arg)] [$($rest)*] $rets)
    };
    (@args $c:tt [$($raw:tt)*] [$($sig:tt)*] [$($lift:tt)*] [$arg:ident: u64, $($rest:tt)*] $rets:tt) => {
        shim!(@args $c [$($raw)* $arg: u64,] [$($sig)* I64] [$($lift)* (number $arg)] [$($rest)*] $rets)
    };
    // an enumeration of the specification
    (@args $c:tt [$($raw:tt)*] [$($sig:tt)*] [$($lift:tt)*] [$arg:ident: $enum:ident, $($rest:tt)*] $rets:tt) => {
        shim!(@args $c [$($raw)* $arg: u32,] [$($sig)* I32] [$($lift)* ($enum $arg)] [$($rest)*] $rets)
    };
    (@args $c:tt $raw:tt $sig:tt $lift:tt [$(,)?] $rets:tt) => {
        shim!(@rets $c $raw $sig $lift [] $rets)
    };

    (@rets $c:tt [$($raw:tt)*] [$($sig:tt)*] $lift:tt [$($back:tt)*] [$ret:ident: bytes, $($rest:tt)*]) => {
        shim!(@rets $c [$($raw)* $ret: u32, size: u32,] [$($sig)* I32 I32] $lift
            [$($back)* (bytes $ret size)] [$($rest)*])
    };
    (@rets $c:tt [$($raw:tt)*] [$($sig:tt)*] $lift:tt [$($back:tt)*] [$ret:ident: $number:ident, $($rest:tt)*]) => {
        shim!(@rets $c [$($raw)* $ret: u32,] [$($sig)* I32] $lift
            [$($back)* ($number $ret)] [$($rest)*])
    };
    (@rets $c:tt $raw:tt $sig:tt $lift:tt $back:tt [$(,)?]) => {
        shim!(@done $c $raw $sig $lift $back)
    };

    (@done (($linker:ident, $module:ident, $import:ident, $params:ident, $results:ident) $name:literal $function:tt)
        [$($raw:tt)*] [$($sig:ident)*] [$(($kind:ident $($arg:ident)+))*] [$(($back:ident $($ret:ident)+))*]) => {{
        if !has_type($params, $results, &[$(WasmType::$sig),*]) {
            return Ok(Linked::WrongType);
        }
        $linker
            .func_wrap($module, $import, |mut caller: GuestCaller<'_, State>, $($raw)*| {
                let mut out = guest::take_scratch(&mut caller);
                let result = (|| -> Result<(), Failure> {
                    let (memory, state, budget) = guest::split_all(&mut caller)?;
                    if state.restricted && $name != "proxy_log" {
                        return Err(Status::InternalFailure.into());
                    }
                    $(shim!(@check memory $back $($ret)+);)*
                    let memory: &[u8] = memory;
                    let _ = memory;
                    let call = &mut Call { state, out: &mut out, budget };
                    let numbers = shim!(@call $function (call, $(shim!(@lift memory $kind $($arg)+)),*))?;
                    #[allow(unused_mut, unused_variables, reason = "rows without results")]
                    let mut numbers = numbers.numbers().into_iter();
                    $(shim!(@back caller out numbers $back $($ret)+);)*
                    Ok(())
                })();
                if $name == "proxy_dequeue_shared_queue" {
                    let state = &mut caller.data_mut().state;
                    match result {
                        Ok(()) => state.dequeued = None,
                        Err(Failure::Fault(_)) => shared_queues::put_back(state, &out),
                        // It may come from the allocator that is asked for memory
                        // for an item, and has taken none out.
                        Err(Failure::Status(_)) => {}
                    }
                }
                guest::return_scratch(&mut caller, out);
                answer(result)
            })
            .map(|_| Linked::Built)
            .map_err(|error| error.to_string())
    }};

    (@call ($($function:ident)::+) ($($arg:expr),* $(,)?)) => { $($function)::+($($arg),*) };

    (@lift $memory:ident bytes $ptr:ident $len:ident) => { guest::slice($memory, $ptr, $len)? };
    (@lift $memory:ident number $arg:ident) => { $arg };
    (@lift $memory:ident $enum:ident $arg:ident) => { $enum::try_from($arg)? };

    // Results are checked before anything happens.
    (@check $memory:ident bytes $ptr:ident $size:ident) => {
        guest::slice_mut($memory, $ptr, 4)?;
        guest::slice_mut($memory, $size, 4)?;
    };
    (@check $memory:ident u32 $ptr:ident) => { guest::slice_mut($memory, $ptr, 4)?; };
    (@check $memory:ident u64 $ptr:ident) => { guest::slice_mut($memory, $ptr, 8)?; };

    (@back $caller:ident $out:ident $numbers:ident bytes $ptr:ident $size:ident) => {
        let address = give(&mut $caller, &$out)?;
        let (memory, _) = guest::split(&mut $caller)?;
        guest::write_u32(memory, $ptr, address)?;
        guest::write_u32(memory, $size, $out.len() as u32)?;
    };
    (@back $caller:ident $out:ident $numbers:ident u32 $ptr:ident) => {
        let (memory, _) = guest::split(&mut $caller)?;
        guest::write_u32(memory, $ptr, $numbers.next().unwrap_or_default() as u32)?;
    };
    (@back $caller:ident $out:ident $numbers:ident u64 $ptr:ident) => {
        let (memory, _) = guest::split(&mut $caller)?;
        guest::write_u64(memory, $ptr, $numbers.next().unwrap_or_default())?;
    };
}

pub(super) use {row, shim, table};
