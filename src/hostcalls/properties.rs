//! Host functions: properties.

mod attributes;
mod certificate;

use super::Call;
use super::pseudo;
use super::trailers;
use crate::abi::Status;
use crate::abi::field::shown;
use crate::abi::property::split;
use crate::abi::types::LogLevel;
use crate::context::State;
use crate::context::request::{Property, RequestState};

/// Where Envoy keeps what plugins set.
const OWN: &[u8] = b"wasm.";

/// Appends the value of a property: Envoy's attributes in Envoy's encodings,
/// headers, `ngx.*` and bare names as nginx variables, what a plugin set.
///
/// Errors: [`Status::NotFound`].
pub fn get_property(call: &mut Call, path: &[u8]) -> Result<(), Status> {
    // SDKs panic on what else nginx might say.
    find(call, path).map_err(|_| Status::NotFound)
}

fn find(call: &mut Call, path: &[u8]) -> Result<(), Status> {
    let (path, group, name) = split(path);
    let Call { state, out, .. } = call;

    match path {
        b"plugin_name" => {
            out.extend_from_slice(&state.plugin.name);
            return Ok(());
        }
        // C++ and AssemblyScript plugins look their factory up by it, and
        // abort when it is not found.
        b"plugin_root_id" => {
            out.extend_from_slice(&state.plugin.root_id);
            return Ok(());
        }
        b"plugin_vm_id" => {
            out.extend_from_slice(&state.plugin.vm_id);
            return Ok(());
        }
        _ => {}
    }

    let Ok(request) = state.request() else {
        return attributes::get_anywhere(group, name, out);
    };
    if let Some(property) = request.properties.borrow().get(path) {
        out.extend_from_slice(&property.value);
        return Ok(());
    }
    let is_bare = path == group;
    if is_bare {
        return attributes::get(state, &request, group, b"", out)
            .or_else(|_| state.host.variable(request.request, group, out));
    }
    match group {
        b"ngx" => state.host.variable(request.request, &dotted(name), out),
        b"filter_state" => {
            let own = name.strip_prefix(OWN).ok_or(Status::NotFound)?;
            let properties = request.properties.borrow();
            let property = properties.get(own).ok_or(Status::NotFound)?;
            out.extend_from_slice(&property.value);
            Ok(())
        }
        b"request" | b"response" => {
            let response = group == b"response";
            if let Some(header) = name.strip_prefix(b"headers\0") {
                field(state, &request, header, response, out)
            } else if response && let Some(trailer) = name.strip_prefix(b"trailers\0") {
                trailers::get(&*state.host, &request, trailer, out)
            } else {
                attributes::get(state, &request, group, name, out)
            }
        }
        _ => attributes::get(state, &request, group, name, out),
    }
}

/// A path as it is written for people, and of variables with dots.
fn dotted(path: &[u8]) -> Vec<u8> {
    let dot = |byte: &u8| if *byte == 0 { b'.' } else { *byte };
    path.iter().map(dot).collect()
}

/// Appends all values of a header, joined by commas.
fn field(
    state: &State,
    request: &RequestState,
    name: &[u8],
    response: bool,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    match (pseudo::is_pseudo(name), response) {
        (true, false) => return pseudo::get_request(state, request, name, out),
        (true, true) if *name == *pseudo::STATUS => return pseudo::get_status(state, request, out),
        (true, true) => return Err(Status::NotFound),
        _ => {}
    }
    let mut count = 0;
    let mut join = |value: &[u8]| {
        if count > 0 {
            out.push(b',');
        }
        count += 1;
        out.extend_from_slice(value);
    };
    if response {
        state
            .host
            .response_header_values(request.request, name, &mut join)?;
    } else {
        state
            .host
            .request_headers(request.request, &mut |key, value| {
                if key.eq_ignore_ascii_case(name) {
                    join(value);
                }
            })?;
    }
    match count {
        0 => Err(Status::NotFound),
        _ => Ok(()),
    }
}

/// Sets an nginx variable (`ngx.*`, or a bare name that is one), or a value
/// that this and later plugins of the same request can read.
///
/// What stays as it is, an attribute or a variable that nginx does not let be
/// set, or anything outside a request, is logged and answered with OK: SDKs
/// panic on anything else.
pub fn set_property(call: &mut Call, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let (path, group, name) = split(path);
    let Ok(request) = call.request() else {
        refuse(call, path, "there is no request here");
        return Ok(());
    };
    if !call.state.spend(path.len() + 1 + value.len()) {
        let limit = call.plugin.limits.written_headers;
        let why = format!(
            "a plugin writes no more than {limit} bytes into a request (option \
             max_written_headers)"
        );
        refuse(call, path, &why);
        return Ok(());
    }
    let host = call.host.clone();

    let (variable, only) = match group {
        b"ngx" if path != group => (dotted(name), true),
        // Where there is no such variable it is a value of the plugin's own.
        _ if path == group => (group.to_vec(), false),
        _ => (Vec::new(), false),
    };
    let set = if variable.is_empty() {
        Err(Status::NotFound)
    } else {
        host.set_variable(request.request, &variable, value)
    };
    match set {
        Ok(()) => return Ok(()),
        Err(Status::NotFound) if !only => {}
        Err(Status::NotFound) => {
            refuse(call, &variable, "nginx has no such variable");
            return Ok(());
        }
        Err(_) => {
            let why = "the nginx variable cannot be set, or not to this";
            refuse(call, &variable, why);
            return Ok(());
        }
    }
    if is_read_only(path, group, name) {
        refuse(call, path, "it is read-only");
        return Ok(());
    }
    let mut properties = request.properties.borrow_mut();
    match properties.get_mut(path) {
        Some(property) if property.read_only => {
            refuse(call, path, "it was declared read-only, and has a value");
        }
        Some(property) => property.value = value.to_vec(),
        None => {
            let root = call.state.contexts.roots.get(&call.state.root_id());
            let property = Property {
                value: value.to_vec(),
                read_only: root.is_some_and(|root| root.declared.get(path) == Some(&true)),
            };
            properties.insert(path.to_vec(), property);
        }
    }
    Ok(())
}

/// What the host says of a request, a response or a plugin.
fn is_read_only(path: &[u8], group: &[u8], name: &[u8]) -> bool {
    let fields = [b"headers\0".as_slice(), b"trailers\0"];
    matches!(path, b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id")
        || attributes::knows(group, name)
        || (matches!(group, b"request" | b"response")
            && fields.iter().any(|map| name.starts_with(map)))
}

/// Says why a property stays as it is.
fn refuse(call: &mut Call, path: &[u8], why: &str) {
    let line = format!("cannot set the property {}: {why}", shown(&dotted(path)));
    call.state.log(LogLevel::Warn, line.as_bytes());
}
