//! What a host function answers to the guest (spec: `proxy_status_t`).

/// A status code of the specification.
///
/// It is the guest's, and never an error of the operator's: an `Err(Status)`
/// in a host function becomes its i32 result and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    BadExpression = 5,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    ResultMismatch = 9,
    InternalFailure = 10,
    BrokenConnection = 11,
    Unimplemented = 12,
}

impl From<Status> for i32 {
    fn from(status: Status) -> i32 {
        status as i32
    }
}
