//! Trailers of the response. nginx has no list of them: those that it passes on
//! from the upstream are variables, and those that it adds are named by its
//! configuration.

use super::Call;
use crate::abi::HeaderList;
use crate::abi::Status;
use crate::abi::types::LogLevel;
use crate::context::Stage;
use crate::context::request::RequestState;
use crate::host::Host;

/// What gRPC sends as trailers without announcing it.
const GRPC: [&[u8]; 3] = [b"grpc-status", b"grpc-message", b"grpc-status-details-bin"];

/// What the operator has nginx send a plugin's trailer `x-sum` from:
/// `add_trailer X-Sum $proxy_wasm_trailer_x_sum`.
const OWN: &[u8] = b"proxy_wasm_trailer_";

/// What nginx sends, from the end of the body on.
const SENT: &[u8] = b"sent_trailer_";

/// The variable for a trailer; `None` where the name cannot be one's.
fn variable(prefix: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut variable = prefix.to_vec();
    for byte in name {
        variable.push(match byte {
            b'-' => b'_',
            _ if byte.is_ascii_alphanumeric() || *byte == b'_' => byte.to_ascii_lowercase(),
            _ => return None,
        });
    }
    (!name.is_empty()).then_some(variable)
}

/// Appends a trailer's value.
///
/// Errors: [`Status::NotFound`].
pub fn get(
    host: &dyn Host,
    request: &RequestState,
    name: &[u8],
    value: &mut Vec<u8>,
) -> Result<(), Status> {
    let sent = variable(SENT, name).ok_or(Status::NotFound)?;
    if host.variable(request.request, &sent, value).is_ok() {
        return Ok(());
    }
    let own = variable(OWN, name).ok_or(Status::NotFound)?;
    let start = value.len();
    host.variable(request.request, &own, value)?;
    if value.len() == start {
        return Err(Status::NotFound);
    }
    Ok(())
}

/// Visits the trailers that there are now: those that the upstream announced
/// in its header `Trailer`, those of gRPC, and those that plugins have set.
pub fn visit(host: &dyn Host, request: &RequestState, visit: &mut dyn FnMut(&[u8], &[u8])) {
    let mut value = Vec::new();
    for name in names(host, request) {
        value.clear();
        if get(host, request, &name, &mut value).is_ok() {
            visit(&name, &value);
        }
    }
}

/// How many trailers there are now.
pub fn count(host: &dyn Host, request: &RequestState) -> u32 {
    let mut count = 0;
    visit(host, request, &mut |_, _| count += 1);
    count
}

/// Names of trailers that there may be, in lower case, each once.
fn names(host: &dyn Host, request: &RequestState) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut add = |name: &[u8]| {
        let name = name.trim_ascii().to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let mut header = Vec::new();
    if response_header(host, request, b"trailer", &mut header) {
        header.split(|byte| *byte == b',').for_each(&mut add);
        header.clear();
    }
    if response_header(host, request, b"content-type", &mut header)
        && header.starts_with(b"application/grpc")
    {
        GRPC.into_iter().for_each(&mut add);
    }
    let own = request.trailers.borrow();
    own.iter().for_each(|name| add(name));
    names
}

/// Appends a header of the response: out of the list, where Lua has handed it
/// over, since nginx has to search.
fn response_header(
    host: &dyn Host,
    request: &RequestState,
    name: &[u8],
    value: &mut Vec<u8>,
) -> bool {
    match &*request.response_headers.borrow() {
        Some(list) => {
            let found = HeaderList::iter(list).find(|(key, _)| *key == name);
            value.extend_from_slice(found.map_or(&[][..], |(_, found)| found));
            found.is_some()
        }
        None => host.response_header(request.request, name, value).is_ok(),
    }
}

/// Sets a trailer, or takes it away by `None`.
pub fn set(
    call: &mut Call,
    request: &RequestState,
    name: &[u8],
    value: Option<&[u8]>,
) -> Result<(), Status> {
    let host = call.host.clone();
    let late = |stage| stage > Stage::ResponseTrailers;
    if call.http().is_some_and(|http| late(http.stage)) {
        return refuse(call, name, "the response is on its way");
    }
    let Some(own) = variable(OWN, name) else {
        return refuse(call, name, "a variable cannot have its name");
    };
    let sent = variable(SENT, name).unwrap_or_default();
    if host
        .variable(request.request, &sent, &mut Vec::new())
        .is_ok()
    {
        return refuse(call, name, "nginx passes on what the upstream has sent");
    }
    let known = host.set_variable(request.request, &own, value.unwrap_or_default());
    if known.is_err() {
        // To take away what was never there is nothing to speak of.
        if value.is_none() {
            return Ok(());
        }
        let why = format!(
            "nginx sends a trailer that its configuration names: set ${own} \"\"; add_trailer … ${own};",
            own = own.escape_ascii()
        );
        return refuse(call, name, &why);
    }
    let name = name.to_ascii_lowercase();
    let mut names = request.trailers.borrow_mut();
    names.retain(|other| *other != name);
    if value.is_some() {
        names.push(name);
    }
    Ok(())
}

fn refuse(call: &mut Call, name: &[u8], why: &str) -> Result<(), Status> {
    let line = format!("the trailer \"{}\" is refused: {why}", name.escape_ascii());
    call.state.log(LogLevel::Warn, line.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn a_trailer_has_a_variable() {
        let own = |name: &[u8]| variable(b"v_", name);
        assert_eq!(own(b"X-Sum"), Some(b"v_x_sum".to_vec()));
        assert_eq!(own(b"grpc-status"), Some(b"v_grpc_status".to_vec()));
        assert_eq!(own(b""), None);
        assert_eq!(own(b"a b"), None);
        assert_eq!(own(b"a$b"), None);
    }
}
