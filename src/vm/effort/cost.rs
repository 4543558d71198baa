//! What each thing that a module can have takes to compile. Measured (wasmtime
//! 48, x86-64) on functions of nothing else, by the test `measured`.
#![forbid(unsafe_code)]

use std::ops::{Add, AddAssign, Mul};

/// Bytes of memory, and nanoseconds of CPU time on the machine where it was
/// measured, one of 2024's. A number that is too large for it is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub bytes: u64,
    pub nanos: u64,
}

const fn cost(bytes: u64, nanos: u64) -> Cost {
    Cost { bytes, nanos }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        cost(
            self.bytes.saturating_add(other.bytes),
            self.nanos.saturating_add(other.nanos),
        )
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = *self + other;
    }
}

impl Mul<u64> for Cost {
    type Output = Cost;

    fn mul(self, times: u64) -> Cost {
        cost(
            self.bytes.saturating_mul(times),
            self.nanos.saturating_mul(times),
        )
    }
}

// What stays until the module is whole.

/// A function, and each byte of its code.
pub const FUNCTION: Cost = cost(6000, 35_000);
pub const CODE: Cost = cost(20, 0);
/// What stands between the host and a type of functions, or a function that the
/// host can get hold of: it hands arguments and results on, each of them dearer
/// the more there are.
const TRAMPOLINE: Cost = cost(6000, 40_000);
const HANDED_ON: Cost = cost(200, 4000);
const HANDED_ON_BEFORE: Cost = cost(0, 7);

pub fn trampoline(values: u64) -> Cost {
    TRAMPOLINE + (HANDED_ON + HANDED_ON_BEFORE * values) * values
}

/// What stands in the module beside its code: an export, an import, a type that
/// was there before.
pub const ENTRY: Cost = cost(500, 1000);

// What goes when the function is compiled.

pub const LOCAL: Cost = cost(100, 60);
/// What compilers write most: it becomes an instruction or none.
pub const SIMPLE: Cost = cost(400, 1400);
/// Reads or writes memory.
pub const ACCESS: Cost = cost(1500, 3000);
/// One more where there were many already, and neither a branch nor a call since:
/// the compiler tries to make do with what was written before.
pub const IN_LINE: Cost = cost(0, 14_000);
/// One more addition, subtraction or multiplication where there were many already:
/// the compiler looks for a shorter way to sum up, in all that came before.
pub const SUM_IN_LINE: Cost = cost(9500, 60_000);
/// Becomes up to some twenty instructions.
pub const OTHER: Cost = cost(6500, 15_000);
/// Of the host's code: filling, copying.
pub const LIBRARY: Cost = cost(6500, 12_000);
pub const CALL: Cost = cost(2750, 5000);
/// What calls through a table, reads or writes one, or grows a memory.
pub const INDIRECT: Cost = cost(18_000, 70_000);
/// An argument, a result, a value that a block takes or gives.
pub const VALUE: Cost = cost(700, 4000);
pub const BRANCH: Cost = cost(500, 1500);
pub const TARGET: Cost = cost(600, 2400);
/// A value that a branch hands on.
pub const HANDED: Cost = cost(1050, 100);
pub const BLOCK: Cost = cost(1000, 2000);
pub const LOOP: Cost = cost(14_000, 40_000);
/// A local where a loop begins that uses it.
pub const LOOPED: Cost = cost(100, 2200);
/// A value that differs by the way that led to a place.
pub const MERGED: Cost = cost(2000, 1500);
/// For each value that a block gives, or a loop takes, and each part of the code
/// before it: the compiler has a table of those.
pub const VALUE_BEFORE: Cost = cost(7, 7);
/// For each local, and each part of the code.
pub const LOCAL_BEFORE: Cost = cost(15, 220);
/// For each local that finds no register, and each call or write to a local.
pub const LIVE_LOCAL: Cost = cost(0, 135);
/// For each global that finds none, and each use of a global.
pub const LIVE_GLOBAL: Cost = cost(0, 6);
/// For each call, and each value that is on the operand stack then.
pub const KEPT: Cost = cost(0, 19);
/// For each part of the code inside a loop, and each loop around it there.
pub const NESTED: Cost = cost(0, 2);

/// What finding registers takes when values live in so many pieces: each is
/// looked at for each.
pub fn registers(pieces: u64) -> Cost {
    square(pieces, 220)
}

/// The same of so many values that branches hand on: where they lead to many
/// labels, and far less where they lead to one.
pub fn handed(values: u64) -> Cost {
    square(values, 78)
}

/// So many hundredths of a nanosecond for each of each.
fn square(count: u64, hundredths: u128) -> Cost {
    let nanos = u128::from(count) * u128::from(count) * hundredths / 100;
    cost(0, u64::try_from(nanos).unwrap_or(u64::MAX))
}
