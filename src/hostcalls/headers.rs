//! Host functions: header maps.

use super::Call;
use super::pseudo;
use super::trailers;
use crate::abi::HeaderList;
use crate::abi::Status;
use crate::abi::field::{ends_line, shown};
use crate::abi::pairs;
use crate::abi::types::{LogLevel, MapType};
use crate::abi::version::AbiVersion;
use crate::context::State;
use crate::context::request::RequestState;

const CONNECTION: &[u8] = b"connection";

const NO_REQUEST: &str = "there is no request here";

/// The map that a guest names, after what old SDKs mean by their numbers.
enum Map {
    Request,
    Response,
    ResponseTrailers,
    Callout,
    CalloutTrailers,
    GrpcInitial,
    GrpcTrailing,
    /// Trailers of the request: nothing to read, nothing to write.
    Absent,
}

fn resolve(state: &State, map: MapType) -> Map {
    match map {
        MapType::HttpRequestHeaders => Map::Request,
        MapType::HttpResponseHeaders => Map::Response,
        MapType::HttpResponseTrailers => Map::ResponseTrailers,
        MapType::HttpCallResponseHeaders => Map::Callout,
        MapType::LegacyHttpCallResponseTrailers => Map::CalloutTrailers,
        MapType::GrpcCallInitialMetadata => Map::GrpcInitial,
        MapType::GrpcCallTrailingMetadata => Map::GrpcTrailing,
        MapType::HttpCallResponseTrailers => {
            // The oldest Rust SDK says 7 and means the headers. Where there
            // are no trailers, nobody else asks for them.
            let no_trailers = state
                .callout_response
                .as_ref()
                .is_some_and(|response| response.trailers.is_empty());
            if state.plugin.abi == AbiVersion::V0_1_0 && no_trailers {
                Map::Callout
            } else {
                Map::CalloutTrailers
            }
        }
        _ => Map::Absent,
    }
}

// -- reading ---------------------------------------------------------------

pub fn get_header_map_pairs(call: &mut Call, map: MapType) -> Result<(), Status> {
    collect(call, map);
    let Call { state, out, .. } = call;
    // An empty map is no bytes at all, as on Envoy.
    if state.encoder.count() > 0 {
        state.encoder.write(out);
    }
    Ok(())
}

/// Bytes of all names and values, as Envoy counts them.
///
/// Errors: [`Status::BadArgument`] for a map that is not there now.
pub fn get_header_map_size(call: &mut Call, map: MapType) -> Result<u32, Status> {
    collect(call, map);
    match call.encoder.content_size() {
        0 => Err(Status::BadArgument),
        size => Ok(size as u32),
    }
}

/// Fills the encoder with all pairs of a map. Outside a request there are
/// none, which is no error: SDKs panic on anything but OK here.
fn collect(call: &mut Call, map: MapType) {
    let mut encoder = std::mem::take(&mut call.state.encoder);
    encoder.clear();
    encoder.only_text = call.plugin.only_text_headers;
    match resolve(call, map) {
        Map::Request => collect_request(call, &mut encoder),
        Map::Response => collect_response(call, &mut encoder),
        Map::ResponseTrailers => {
            if let Ok(request) = call.request() {
                trailers::visit(&*call.host, &request, &mut |key, value| {
                    encoder.push(key, value);
                });
            }
        }
        Map::Callout => {
            push_all(
                &mut encoder,
                call.callout_response.as_ref().map(|r| &r.headers),
            );
        }
        Map::CalloutTrailers => {
            push_all(
                &mut encoder,
                call.callout_response.as_ref().map(|r| &r.trailers),
            );
        }
        Map::GrpcInitial => {
            push_all(&mut encoder, call.grpc_news.initial_metadata.as_ref());
        }
        Map::GrpcTrailing => {
            push_all(&mut encoder, call.grpc_news.trailing_metadata.as_ref());
        }
        Map::Absent => {}
    }
    call.state.encoder = encoder;
}

fn push_all(encoder: &mut pairs::Encoder, headers: Option<&HeaderList>) {
    for (key, value) in headers.into_iter().flat_map(HeaderList::iter) {
        encoder.push(key, value);
    }
}

fn collect_request(call: &mut Call, encoder: &mut pairs::Encoder) {
    if let Ok(request) = call.request() {
        _ = visit_request(call, &request, |key, value| encoder.push(key, value));
    }
}

/// Visits the headers of a request, pseudo headers first.
pub fn visit_request(
    state: &State,
    request: &RequestState,
    mut visit: impl FnMut(&[u8], &[u8]),
) -> Result<(), Status> {
    let mut value = Vec::new();
    for key in pseudo::REQUEST {
        value.clear();
        if pseudo::get_request(state, request, key, &mut value).is_ok() {
            visit(key, &value);
        }
    }
    state
        .host
        .request_headers(request.request, &mut |key, value| {
            if pseudo::is_listed(key) {
                visit(key, value);
            }
        })
}

fn collect_response(call: &mut Call, encoder: &mut pairs::Encoder) {
    if let Ok(request) = call.request() {
        visit_response(call, &request, |key, value| encoder.push(key, value));
    }
}

/// Visits the headers of a response, its status first. Before the header
/// filter there are none to list.
pub fn visit_response(state: &State, request: &RequestState, mut visit: impl FnMut(&[u8], &[u8])) {
    let headers = request.response_headers.borrow();
    let Some(headers) = &*headers else {
        return;
    };
    let mut status = Vec::new();
    if pseudo::get_status(state, request, &mut status).is_ok() {
        visit(pseudo::STATUS, &status);
    }
    for (key, value) in headers.iter() {
        visit(key, value);
    }
}

pub fn get_header_map_value(call: &mut Call, map: MapType, key: &[u8]) -> Result<(), Status> {
    let found = match resolve(call, map) {
        Map::Request => get_request_header(call, key),
        Map::Response => get_response_header(call, key),
        Map::ResponseTrailers => match call.request() {
            Ok(request) => trailers::get(&*call.state.host, &request, key, call.out),
            Err(_) => Err(Status::NotFound),
        },
        Map::Callout => first(call, key, |state| {
            state.callout_response.as_ref().map(|it| &it.headers)
        }),
        Map::CalloutTrailers => first(call, key, |state| {
            state.callout_response.as_ref().map(|it| &it.trailers)
        }),
        Map::GrpcInitial => first(call, key, |state| state.grpc_news.initial_metadata.as_ref()),
        Map::GrpcTrailing => first(call, key, |state| {
            state.grpc_news.trailing_metadata.as_ref()
        }),
        Map::Absent => Err(Status::NotFound),
    };
    let found = match found {
        Ok(()) if call.plugin.only_text_headers && str::from_utf8(call.out).is_err() => {
            call.out.clear();
            Err(Status::NotFound)
        }
        found => found,
    };
    match found {
        // SDKs of ABI 0.1.0 know only OK, and null for what is not there.
        Err(_) if call.plugin.abi == AbiVersion::V0_1_0 => Ok(()),
        // They panic on what else nginx might say.
        found => found.map_err(|_| Status::NotFound),
    }
}

fn get_request_header(call: &mut Call, key: &[u8]) -> Result<(), Status> {
    let request = call.request().map_err(|_| Status::NotFound)?;
    let Call { state, out, .. } = call;
    if pseudo::is_pseudo(key) {
        pseudo::get_request(state, &request, key, out)
    } else {
        state.host.request_header(request.request, key, out)
    }
}

fn get_response_header(call: &mut Call, key: &[u8]) -> Result<(), Status> {
    let request = call.request().map_err(|_| Status::NotFound)?;
    let Call { state, out, .. } = call;
    if key.eq_ignore_ascii_case(pseudo::STATUS) {
        return pseudo::get_status(state, &request, out);
    }
    match state.host.response_header(request.request, key, out) {
        // nginx writes it by itself and has it in no list of headers.
        Err(Status::NotFound) if key.eq_ignore_ascii_case(CONNECTION) => {
            let variable = b"sent_http_connection";
            state.host.variable(request.request, variable, out)
        }
        found => found,
    }
}

fn first(
    call: &mut Call,
    key: &[u8],
    of: impl Fn(&State) -> Option<&HeaderList>,
) -> Result<(), Status> {
    let Call { state, out, .. } = call;
    let (_, value) = of(state)
        .ok_or(Status::NotFound)?
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .ok_or(Status::NotFound)?;
    out.extend_from_slice(value);
    Ok(())
}

// -- writing ---------------------------------------------------------------

pub fn add_header_map_value(
    call: &mut Call,
    map: MapType,
    key: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    write(call, map, key, Change::Add(value))
}

pub fn replace_header_map_value(
    call: &mut Call,
    map: MapType,
    key: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    write(call, map, key, Change::Replace(value))
}

pub fn remove_header_map_value(call: &mut Call, map: MapType, key: &[u8]) -> Result<(), Status> {
    write(call, map, key, Change::Remove)
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Add(&'a [u8]),
    Replace(&'a [u8]),
    Remove,
}

impl<'a> Change<'a> {
    fn value(self) -> &'a [u8] {
        match self {
            Change::Add(value) | Change::Replace(value) => value,
            Change::Remove => &[],
        }
    }
}

/// Says why a header is not written: SDKs panic on anything but OK here.
fn write(call: &mut Call, map: MapType, key: &[u8], change: Change) -> Result<(), Status> {
    let map = resolve(call, map);
    let response = match map {
        Map::Request => false,
        Map::Response | Map::ResponseTrailers => true,
        _ => return refuse(call, key, "its map is not to be written"),
    };
    let Ok(request) = call.request() else {
        return refuse(call, key, NO_REQUEST);
    };
    if let Some(why) = illegal(key, change) {
        return refuse(call, key, why);
    }
    if !call.state.spend(key.len() + change.value().len()) {
        return refuse_more(call, key);
    }
    if let Map::ResponseTrailers = map {
        return write_trailer(call, &request, key, change);
    }
    if pseudo::is_pseudo(key) {
        return write_pseudo(call, &request, response, key, change);
    }
    let framing = is_framing(key) || frames_body(call, &request, key, change);
    if response && framing {
        if let Change::Add(value) | Change::Replace(value) = change
            && !is_already(call, key, value)
        {
            pseudo::refuse(call, key, value, "nginx frames the response");
        }
        return Ok(());
    }
    let written = if response {
        write_response(call, &request, key, change)
    } else {
        write_request(call, &request, key, change)
    };
    // Mostly it comes too late.
    written.or_else(|_| refuse(call, key, "nginx does not take it here"))
}

#[cold]
fn refuse_more(call: &mut Call, key: &[u8]) -> Result<(), Status> {
    let limit = call.plugin.limits.written_headers;
    let why = format!(
        "a plugin writes no more than {limit} bytes into a request (option max_written_headers)"
    );
    refuse(call, key, &why)
}

/// Says why a header stays as it is. It is no error for the guest: SDKs panic
/// on anything but OK.
#[cold]
fn refuse(call: &mut Call, key: &[u8], why: &str) -> Result<(), Status> {
    let line = format!("the header \"{}\" is refused: {why}", shown(key));
    call.state.log(LogLevel::Warn, line.as_bytes());
    Ok(())
}

/// What nginx writes by itself, whatever else is set: a second one beside it
/// would contradict it. Plugins made for Envoy remove them as a matter of
/// routine.
fn is_framing(key: &[u8]) -> bool {
    [CONNECTION, b"keep-alive", b"transfer-encoding"]
        .iter()
        .any(|name| key.eq_ignore_ascii_case(name))
}

/// A length of a plugin's own would not be that of the body that nginx sends,
/// and the next response on the connection would begin in the wrong place.
/// Without a length nginx frames the body itself; a HEAD request has none.
fn frames_body(call: &Call, request: &RequestState, key: &[u8], change: Change) -> bool {
    key.eq_ignore_ascii_case(b"content-length")
        && !matches!(change, Change::Remove)
        && !call.host.is_head(request.request)
}

/// Plugins read the whole map, change it and write it back: no need to say
/// anything of what stays as it is.
fn is_already(call: &mut Call, key: &[u8], value: &[u8]) -> bool {
    let mut current = Vec::new();
    let call = &mut Call {
        state: call.state,
        out: &mut current,
        budget: call.budget,
    };
    get_response_header(call, key).is_ok() && current == value
}

/// Why a header must not be: nginx would write line ends into the message,
/// which is header injection.
fn illegal(key: &[u8], change: Change) -> Option<&'static str> {
    let dirty = |text: &[u8]| text.iter().any(ends_line);
    if key.is_empty() {
        Some("it has no name")
    } else if dirty(key) || dirty(change.value()) {
        Some("neither its name nor its value may have CR, LF or NUL")
    } else {
        None
    }
}

fn write_pseudo(
    call: &mut Call,
    request: &RequestState,
    response: bool,
    key: &[u8],
    change: Change,
) -> Result<(), Status> {
    match change {
        Change::Remove => {
            pseudo::refuse(call, key, b"", "a pseudo header cannot be removed");
            Ok(())
        }
        Change::Add(value) | Change::Replace(value) if response => {
            if key.eq_ignore_ascii_case(pseudo::STATUS) {
                pseudo::set_status(call, request, value)
            } else {
                pseudo::refuse(call, key, value, "it is no header of a response");
                Ok(())
            }
        }
        Change::Add(value) | Change::Replace(value) => {
            pseudo::set_request(call, request, key, value)
        }
    }
}

fn write_trailer(
    call: &mut Call,
    request: &RequestState,
    key: &[u8],
    change: Change,
) -> Result<(), Status> {
    match change {
        Change::Remove => trailers::set(call, request, key, None),
        Change::Replace(value) => trailers::set(call, request, key, Some(value)),
        Change::Add(value) => {
            // There is one variable for all values of a name.
            let mut all = Vec::new();
            if trailers::get(&*call.host, request, key, &mut all).is_ok() {
                all.extend_from_slice(b", ");
            }
            all.extend_from_slice(value);
            trailers::set(call, request, key, Some(&all))
        }
    }
}

fn write_request(
    call: &mut Call,
    request: &RequestState,
    key: &[u8],
    change: Change,
) -> Result<(), Status> {
    let host = &call.host;
    match change {
        Change::Add(value) => host.set_request_header(request.request, key, value, false),
        Change::Replace(value) => host.set_request_header(request.request, key, value, true),
        Change::Remove => host.remove_request_header(request.request, key),
    }
}

fn write_response(
    call: &mut Call,
    request: &RequestState,
    key: &[u8],
    change: Change,
) -> Result<(), Status> {
    let host = &call.host;
    match change {
        Change::Add(value) => host.set_response_header(request.request, key, value, false)?,
        Change::Replace(value) => host.set_response_header(request.request, key, value, true)?,
        Change::Remove => host.remove_response_header(request.request, key)?,
    }
    // The list that Lua handed over follows.
    if let Some(headers) = &mut *request.response_headers.borrow_mut() {
        if !matches!(change, Change::Add(_)) {
            headers.remove(key);
        }
        if let Change::Add(value) | Change::Replace(value) = change {
            headers.push(key, value);
        }
    }
    Ok(())
}

/// Replaces a whole map: what is not in `pairs` goes. A malformed one changes
/// nothing.
pub fn set_header_map_pairs(call: &mut Call, map: MapType, pairs: &[u8]) -> Result<(), Status> {
    let Ok(pairs) = pairs::decode(pairs) else {
        return refuse_map(call, "it is malformed");
    };
    let Ok(request) = call.request() else {
        return refuse_map(call, NO_REQUEST);
    };
    let mut old: Vec<Vec<u8>> = Vec::new();
    match resolve(call, map) {
        Map::Request => {
            let listed = call.host.request_headers(request.request, &mut |key, _| {
                if pseudo::is_listed(key) {
                    old.push(key.to_vec());
                }
            });
            if listed.is_err() {
                return refuse_map(call, "nginx does not take it here");
            }
        }
        Map::Response => {
            let headers = request.response_headers.borrow();
            old.extend(
                headers
                    .iter()
                    .flat_map(HeaderList::iter)
                    .map(|(key, _)| key.to_vec()),
            );
        }
        Map::ResponseTrailers => old.clone_from(&request.trailers.borrow()),
        _ => return refuse_map(call, "it is not to be written"),
    }
    // nginx would not take its length again.
    let sized = pairs
        .iter()
        .any(|(key, _)| key.eq_ignore_ascii_case(b"content-length"));
    for key in old {
        if !(sized && key == b"content-length") {
            write(call, map, &key, Change::Remove)?;
        }
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    for (key, value) in pairs {
        // In whatever case: the second is no replacement of the first.
        let change = if seen.iter().any(|other| other.eq_ignore_ascii_case(key)) {
            Change::Add(value)
        } else {
            Change::Replace(value)
        };
        seen.push(key);
        write(call, map, key, change)?;
    }
    Ok(())
}

fn refuse_map(call: &mut Call, why: &str) -> Result<(), Status> {
    let line = format!("a map of headers is refused: {why}");
    call.state.log(LogLevel::Warn, line.as_bytes());
    Ok(())
}
