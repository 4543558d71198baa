//! Which parameters the body of a function reads.
#![forbid(unsafe_code)]

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// The parameters that a body may read: bit n stands for the nth, the highest
/// for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads(u32);

const LAST: u32 = u32::BITS - 1;

impl Reads {
    /// What is not known reads everything.
    pub const ALL: Reads = Reads(u32::MAX);

    pub fn of(body: &FunctionBody<'_>) -> Result<Reads, BinaryReaderError> {
        let mut read = 0;
        for operator in body.get_operators_reader()? {
            if let Operator::LocalGet { local_index } = operator? {
                read |= 1 << local_index.min(LAST);
            }
        }
        Ok(Reads(read))
    }

    pub fn has(self, parameter: u32) -> bool {
        self.0 & 1 << parameter.min(LAST) != 0
    }
}
