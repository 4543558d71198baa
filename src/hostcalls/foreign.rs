//! Host functions: foreign functions, those that Lua has and those built in.

mod property;
mod signature;
mod zlib;

use std::net::IpAddr;

use super::Call;
use super::table::Failure;
use crate::abi::Status;
use crate::abi::field::shown;
use crate::abi::limits::MAX_FOREIGN_ARGUMENT;
use crate::abi::types::LogLevel;
use crate::context::foreign;
use crate::host::hosts;
use crate::vm::stack;

/// Calls a function by its name: one of Lua's, or else one that is built in.
///
/// Errors: [`Status::NotFound`] where nobody has it,
/// [`Status::InternalFailure`] for too large an argument; the function's own;
/// an end of the guest call that has used its CPU time.
pub fn call_foreign_function(call: &mut Call, name: &[u8], argument: &[u8]) -> Result<(), Failure> {
    if argument.len() > MAX_FOREIGN_ARGUMENT {
        let line = format!(
            "an argument of more than {MAX_FOREIGN_ARGUMENT} bytes for the foreign function \
             \"{}\" is refused",
            shown(name)
        );
        call.state.log(LogLevel::Error, line.as_bytes());
        return Err(Status::InternalFailure.into());
    }
    if let Some(function) = foreign::registered(name) {
        return Ok(ask_lua(call, function, name, argument)?);
    }
    match name {
        b"compress" => zlib::compress(call, argument),
        b"uncompress" => zlib::uncompress(call, argument),
        b"resolve" | b"resolve_lua" => Ok(resolve(call, argument)?),
        b"declare_property" => Ok(property::declare(call, argument)?),
        b"verify_signature" => Ok(signature::verify(argument, call.out)?),
        b"sign" => Ok(signature::sign(argument, call.out)?),
        // There is none: as `proxy_clear_route_cache`.
        b"clear_route_cache" => Ok(()),
        _ => Err(Status::NotFound.into()),
    }
}

/// Waits until Lua has called its function.
fn ask_lua(call: &mut Call, function: u32, name: &[u8], argument: &[u8]) -> Result<(), Status> {
    let out = &mut *call.out;
    let answered = stack::ask(function, argument, |code, result| match code {
        0 => {
            out.extend_from_slice(result);
            Ok(())
        }
        1 => Err(Status::NotFound),
        _ => Err(Status::InternalFailure),
    });
    answered.unwrap_or_else(|| {
        let name = shown(name);
        let line = format!("the foreign function \"{name}\" cannot be called from here");
        call.state.log(LogLevel::Error, line.as_bytes());
        Err(Status::InternalFailure)
    })
}

/// The 4 or 16 bytes of the address of a name, as far as it is known without
/// asking anybody: an address, an upstream of the plugin's, a name of the hosts
/// file.
fn resolve(call: &mut Call, name: &[u8]) -> Result<(), Status> {
    let upstreams = &call.state.plugin.upstreams;
    let host = upstreams.find(name).and_then(|upstream| upstream.host());
    let host = host.as_deref().unwrap_or(name);
    match literal(host).or_else(|| hosts::find(host)) {
        Some(IpAddr::V4(address)) => call.out.extend_from_slice(&address.octets()),
        Some(IpAddr::V6(address)) => call.out.extend_from_slice(&address.octets()),
        None => return Err(Status::NotFound),
    }
    Ok(())
}

fn literal(host: &[u8]) -> Option<IpAddr> {
    let host = str::from_utf8(host).ok()?;
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}
