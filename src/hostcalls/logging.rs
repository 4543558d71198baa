//! Host functions: logging.

use super::Call;
use crate::abi::Status;
use crate::abi::types::LogLevel;

pub fn log(call: &mut Call, level: LogLevel, message: &[u8]) -> Result<(), Status> {
    call.state.log(level, message);
    Ok(())
}

pub fn get_log_level(call: &mut Call) -> Result<u32, Status> {
    let request = call.log_request();
    Ok(call.host.log_level(request) as u32)
}
