//! Host functions: foreign functions, those that Lua has and those built in.

use std::net::IpAddr;

use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

use super::Call;
use crate::abi::Status;
use crate::abi::field::shown;
use crate::abi::limits::{MAX_FOREIGN_ARGUMENT, MAX_UNCOMPRESSED};
use crate::abi::types::LogLevel;
use crate::context::foreign;
use crate::host::hosts;
use crate::vm::stack::{self, Question};

/// zlib's own default.
const LEVEL: u8 = 6;

/// Calls a function by its name: one of Lua's, or else one that is built in.
///
/// Errors: [`Status::NotFound`] where nobody has it,
/// [`Status::InternalFailure`] for too large an argument; the function's own.
pub fn call_foreign_function(call: &mut Call, name: &[u8], argument: &[u8]) -> Result<(), Status> {
    if argument.len() > MAX_FOREIGN_ARGUMENT {
        let line = format!(
            "an argument of more than {MAX_FOREIGN_ARGUMENT} bytes for the foreign function \
             \"{}\" is refused",
            shown(name)
        );
        call.state.log(LogLevel::Error, line.as_bytes());
        return Err(Status::InternalFailure);
    }
    if foreign::is_registered(name) {
        return ask_lua(call, name, argument);
    }
    match name {
        b"compress" => {
            let compressed = miniz_oxide::deflate::compress_to_vec_zlib(argument, LEVEL);
            call.out.extend_from_slice(&compressed);
            Ok(())
        }
        b"uncompress" => uncompress(call, argument),
        b"resolve" | b"resolve_lua" => resolve(call, argument),
        // There is none: as `proxy_clear_route_cache`.
        b"clear_route_cache" => Ok(()),
        _ => Err(Status::NotFound),
    }
}

/// Waits until Lua has called its function.
fn ask_lua(call: &mut Call, name: &[u8], argument: &[u8]) -> Result<(), Status> {
    let question = Question {
        subject: name.to_vec(),
        bytes: argument.to_vec(),
    };
    let Some(answer) = stack::ask(question) else {
        let name = shown(name);
        let line = format!("the foreign function \"{name}\" cannot be called from here");
        call.state.log(LogLevel::Error, line.as_bytes());
        return Err(Status::InternalFailure);
    };
    match answer.code {
        0 => {
            call.out.extend_from_slice(&answer.bytes);
            Ok(())
        }
        1 => Err(Status::NotFound),
        _ => Err(Status::InternalFailure),
    }
}

/// Errors: [`Status::SerializationFailure`] for what zlib has not made, as
/// Envoy's.
fn uncompress(call: &mut Call, compressed: &[u8]) -> Result<(), Status> {
    match decompress_to_vec_zlib_with_limit(compressed, MAX_UNCOMPRESSED) {
        Ok(bytes) => {
            call.out.extend_from_slice(&bytes);
            Ok(())
        }
        Err(error) if error.status == TINFLStatus::HasMoreOutput => {
            let line = format!("uncompress: the result is over {MAX_UNCOMPRESSED} bytes");
            call.state.log(LogLevel::Error, line.as_bytes());
            Err(Status::InternalFailure)
        }
        Err(_) => Err(Status::SerializationFailure),
    }
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
