//! Host functions: local responses.

use super::Call;
use crate::abi::Status;
use crate::abi::types::LogLevel;
use crate::context::request::Header;
use crate::context::state::owned_pairs;
use crate::context::{Effect, LocalResponse, Stage};

/// Answers the request of the effective http context. The first answer wins;
/// what comes after the response's headers are on their way is logged and
/// ignored.
///
/// Errors: [`Status::BadArgument`] for a malformed header map, a status that
/// no final response has, or outside a request.
pub fn send_local_response(
    call: &mut Call,
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: u32,
) -> Result<(), Status> {
    let headers = owned_pairs(headers)?;
    if !(200..=999).contains(&status) {
        return Err(Status::BadArgument);
    }
    let request = call.request()?;
    let http = call.http().ok_or(Status::BadArgument)?;
    if http.answered {
        return Ok(());
    }
    if http.stage > Stage::ResponseHeaders {
        call.state.log(
            LogLevel::Warn,
            b"a local response is ignored: the response is on its way",
        );
        return Ok(());
    }

    http.answered = true;
    http.paused = false;
    let mut response = LocalResponse {
        status,
        details: printable(details),
        headers: headers.into_iter().filter(is_legal).collect(),
        body: body.to_vec(),
        grpc_status: grpc_status as i32,
    };
    if http.stage == Stage::ResponseHeaders {
        // The body goes out when the body filter runs.
        http.replacement = Some(std::mem::take(&mut response.body));
    }
    *request.code_details.borrow_mut() = response.details.clone();
    call.state.push_effect(Effect::LocalResponse(response))
}

/// Neither pseudo headers nor what would be written into the message.
fn is_legal((name, value): &Header) -> bool {
    let clean = |text: &[u8]| !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    !name.is_empty() && name[0] != b':' && clean(name) && clean(value)
}

fn printable(details: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0);
    details.iter().copied().filter(keep).collect()
}
