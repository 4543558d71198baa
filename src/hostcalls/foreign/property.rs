//! The foreign function `declare_property`, with Envoy's argument.

use super::super::Call;
use crate::abi::Status;
use crate::abi::limits::{MAX_DECLARED, MAX_DECLARED_NAME};
use crate::abi::protobuf::{Fields, Value};
use crate::abi::types::LogLevel;

/// Says of a property that the plugin is going to set what it is: read-only, it
/// is set once in a request, by whichever plugin. Its type means nothing here,
/// where values are bytes, and all of them live as long as the request.
///
/// It is for root contexts: as on Envoy, an http context declares to no effect.
///
/// Errors: [`Status::BadArgument`] for what is no such message, and a property
/// that was declared before.
pub fn declare(call: &mut Call, argument: &[u8]) -> Result<(), Status> {
    let (name, read_only) = parse(argument).ok_or(Status::BadArgument)?;
    let id = call.current.effective;
    let Some(root) = call.state.contexts.roots.get_mut(&id) else {
        return Ok(());
    };
    if root.declared.contains_key(name) {
        return Err(Status::BadArgument);
    }
    if root.declared.len() >= MAX_DECLARED || name.len() > MAX_DECLARED_NAME {
        let line = format!(
            "a property is not declared: a root context has {MAX_DECLARED}, with names of \
             {MAX_DECLARED_NAME} bytes"
        );
        call.state.log(LogLevel::Error, line.as_bytes());
        return Err(Status::BadArgument);
    }
    root.declared.insert(name.to_vec(), read_only);
    Ok(())
}

/// Its name, and whether it is read-only.
fn parse(argument: &[u8]) -> Option<(&[u8], bool)> {
    let (mut name, mut read_only) = (&b""[..], false);
    for field in Fields(argument) {
        match field? {
            (1, Value::Bytes(bytes)) => name = bytes,
            (2, Value::Number(number)) => read_only = number != 0,
            // Type, schema, span.
            _ => {}
        }
    }
    Some((name, read_only))
}
