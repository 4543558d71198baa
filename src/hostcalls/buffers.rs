//! Host functions: buffers.

use super::Call;
use super::responses::send_local_response;
use super::streams::close_stream;
use crate::abi::Status;
use crate::abi::types::{BufferType, LogLevel, StreamType};
use crate::context::{HttpContext, Stage, State};

/// Appends up to `max_size` bytes from `start` on; fewer where the buffer
/// ends, none behind its end.
///
/// A body that is not there now is empty, as on Envoy.
///
/// Errors: [`Status::NotFound`] for the body of an answer and a configuration
/// that are not there.
pub fn get_buffer_bytes(
    call: &mut Call,
    buffer: BufferType,
    start: u32,
    max_size: u32,
) -> Result<(), Status> {
    let Call { state, out, .. } = call;
    read(state, buffer, &mut |bytes| {
        let start = (start as usize).min(bytes.len());
        let end = start.saturating_add(max_size as usize).min(bytes.len());
        out.extend_from_slice(&bytes[start..end]);
    })
}

/// The size of a buffer. Flags are always 0, as on Envoy.
pub fn get_buffer_status(call: &mut Call, buffer: BufferType) -> Result<(u32, u32), Status> {
    let mut size = 0;
    read(call.state, buffer, &mut |bytes| size = bytes.len() as u32)?;
    Ok((size, 0))
}

/// ABI 0.1.0: the plugin's configuration while it is configured, the VM's
/// before.
pub fn get_configuration(call: &mut Call) -> Result<(), Status> {
    get_buffer_bytes(call, BufferType::PluginConfiguration, 0, u32::MAX)
}

fn read(state: &mut State, buffer: BufferType, visit: &mut dyn FnMut(&[u8])) -> Result<(), Status> {
    match buffer {
        BufferType::HttpRequestBody => {
            let body = state.http().and_then(|http| http.request_body.as_deref());
            visit(body.unwrap_or_default());
        }
        BufferType::HttpResponseBody => return read_response_body(state, visit),
        BufferType::HttpCallResponseBody => {
            visit(
                &state
                    .callout_response
                    .as_ref()
                    .ok_or(Status::NotFound)?
                    .body,
            );
        }
        BufferType::VmConfiguration => visit(&state.plugin.vm_configuration),
        BufferType::PluginConfiguration => {
            let root = state.contexts.roots.get(&state.root_id());
            visit(&root.ok_or(Status::NotFound)?.configuration);
        }
        BufferType::CallData => visit(state.call_data.as_deref().unwrap_or_default()),
        BufferType::GrpcCallMessage => {
            visit(state.grpc_news.message.as_deref().unwrap_or_default());
        }
        BufferType::DownstreamData | BufferType::UpstreamData => visit(&[]),
    }
    Ok(())
}

fn read_response_body(state: &mut State, visit: &mut dyn FnMut(&[u8])) -> Result<(), Status> {
    let host = state.host.clone();
    let Some(http) = state
        .http()
        .filter(|http| http.stage == Stage::ResponseBody)
    else {
        visit(&[]);
        return Ok(());
    };
    // Mostly nothing was held back before the chunk: no need to copy it.
    if http.chunk_at_host && http.response_body.is_empty() {
        let request = http.live_request().ok_or(Status::NotFound)?;
        return host.response_chunk(request, visit);
    }
    state.take_response_chunk()?;
    let http = state.http().ok_or(Status::NotFound)?;
    visit(&http.response_body);
    Ok(())
}

/// Puts `bytes` in the place of the `size` bytes at `start`: (0, 0) prepends,
/// a start behind the end appends.
///
/// A buffer that is not to be written now is logged, and answered with OK:
/// SDKs panic on anything else. One that would be too large is so, too, and
/// ends the request: what should have been changed must not go on as it was,
/// unseen.
pub fn set_buffer_bytes(
    call: &mut Call,
    buffer: BufferType,
    start: u32,
    size: u32,
    bytes: &[u8],
) -> Result<(), Status> {
    let limit = call.plugin.limits.written_body;
    let spliced = match buffer {
        BufferType::HttpRequestBody => {
            let in_time = |http: &&mut HttpContext| {
                http.stage == Stage::RequestBody && !http.request_body_passed
            };
            call.http().filter(in_time).map(|http| {
                let body = http.request_body.get_or_insert_default();
                let spliced = splice(body, start, size, bytes, limit);
                http.request_body_changed |= spliced;
                spliced
            })
        }
        BufferType::HttpResponseBody => {
            let in_callback = |http: &&mut HttpContext| http.stage == Stage::ResponseBody;
            if call.http().filter(in_callback).is_some()
                && call.state.take_response_chunk().is_ok()
                && let Some(http) = call.http()
            {
                let spliced = splice(&mut http.response_body, start, size, bytes, limit);
                http.response_body_changed |= spliced;
                Some(spliced)
            } else {
                None
            }
        }
        _ => None,
    };
    match spliced {
        Some(true) => return Ok(()),
        Some(false) => {
            refuse_body(call, limit);
            return match buffer {
                BufferType::HttpRequestBody => {
                    send_local_response(call, 500, b"", b"", b"", u32::MAX)
                }
                _ => close_stream(call, StreamType::HttpResponse),
            };
        }
        None => {}
    }
    let line = format!(
        "buffer {} is not changed: it is not to be written here",
        buffer as u32
    );
    call.state.log(LogLevel::Warn, line.as_bytes());
    Ok(())
}

/// Says that a body of the guest's is over the limit.
pub fn refuse_body(call: &mut Call, limit: usize) {
    let line = format!("a body of more than {limit} bytes is refused (option max_written_body)");
    call.state.log(LogLevel::Error, line.as_bytes());
}

/// False: the buffer would grow beyond the limit, and stays as it is.
fn splice(buffer: &mut Vec<u8>, start: u32, size: u32, bytes: &[u8], limit: usize) -> bool {
    let start = (start as usize).min(buffer.len());
    let end = start.saturating_add(size as usize).min(buffer.len());
    let grows = bytes.len() > end - start;
    if grows && buffer.len() - (end - start) + bytes.len() > limit {
        return false;
    }
    buffer.splice(start..end, bytes.iter().copied());
    true
}

#[cfg(test)]
mod tests {
    use super::splice;

    #[track_caller]
    fn check(start: u32, size: u32, bytes: &str, expected: &str) {
        let mut buffer = b"abcdef".to_vec();
        let spliced = splice(&mut buffer, start, size, bytes.as_bytes(), 9);
        assert!(spliced);
        assert_eq!(buffer, expected.as_bytes());
    }

    #[test]
    fn a_splice_replaces_exactly_what_it_names() {
        check(0, 0, "X", "Xabcdef");
        check(0, u32::MAX, "X", "X");
        check(0, i32::MAX as u32, "", "");
        check(i32::MAX as u32, 0, "X", "abcdefX");
        check(2, 2, "XYZ", "abXYZef");
        check(6, 0, "X", "abcdefX");
        check(3, 0, "", "abcdef");
        check(4, 100, "X", "abcdX");
    }

    #[test]
    fn a_buffer_over_the_limit_stays_as_it_is_and_may_shrink() {
        let mut buffer = b"abcdef".to_vec();
        assert!(!splice(&mut buffer, 0, 0, b"X", 6));
        assert!(!splice(&mut buffer, 0, 1, b"XY", 6));
        assert!(!splice(&mut buffer, 6, 0, b"X", 3));
        assert_eq!(buffer, b"abcdef");
        assert!(splice(&mut buffer, 0, 2, b"XY", 3));
        assert!(splice(&mut buffer, 0, 2, b"Z", 3));
        assert_eq!(buffer, b"Zcdef");
    }
}
