//! Host functions: streams go on.

use super::Call;
use crate::abi::Status;
use crate::abi::types::StreamType;

pub fn continue_stream(call: &mut Call, stream: StreamType) -> Result<(), Status> {
    match stream {
        StreamType::HttpRequest | StreamType::HttpResponse => {
            let id = call.current.effective;
            call.state.resume(id);
            Ok(())
        }
        // There are no network filters here.
        StreamType::Downstream | StreamType::Upstream => Err(Status::Unimplemented),
    }
}

pub fn continue_request(call: &mut Call) -> Result<(), Status> {
    continue_stream(call, StreamType::HttpRequest)
}

pub fn continue_response(call: &mut Call) -> Result<(), Status> {
    continue_stream(call, StreamType::HttpResponse)
}
