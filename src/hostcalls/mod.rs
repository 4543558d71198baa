//! Host functions: THE TABLE, and one file for each section of the
//! specification behind it.
#![forbid(unsafe_code)]

mod buffers;
mod callouts;
mod clocks;
mod contexts;
pub mod env;
mod foreign;
mod grpc;
mod headers;
mod logging;
mod metrics;
mod properties;
mod pseudo;
mod responses;
mod shared_data;
mod shared_queues;
mod streams;
mod table;
mod timers;
pub mod trailers;
pub mod wasi;

pub use pseudo::is_listed;
pub use table::{Call, Linked, Row, knows};

use self::table::{Failure, Numbers, answer, give, has_type, row, shim, table};
use crate::abi::Status;
use crate::abi::types::{BufferType, LogLevel, MapType, MetricType, StreamType};
use crate::context::State;
use crate::vm::guest;
use crate::vm::{GuestCaller, GuestLinker, WasmType};

table! {
    "Logging" {
        "proxy_log" = { logging::log(level: LogLevel, message: bytes) -> () };
        "proxy_get_log_level" = { logging::get_log_level() -> (level: u32) };
    }
    "Clocks" {
        "proxy_get_current_time_nanoseconds" = { clocks::get_current_time_nanoseconds() -> (time: u64) };
    }
    "Timers" {
        "proxy_set_tick_period_milliseconds"
            = { timers::set_tick_period_milliseconds(period: u32) -> () };
    }
    "Buffers" {
        "proxy_get_buffer_bytes" | "proxy_get_buffer"
            = { buffers::get_buffer_bytes(buffer: BufferType, start: u32, max_size: u32) -> (bytes: bytes) };
        "proxy_set_buffer_bytes" | "proxy_set_buffer"
            = { buffers::set_buffer_bytes(buffer: BufferType, start: u32, size: u32, bytes: bytes) -> () };
        "proxy_get_buffer_status"
            = { buffers::get_buffer_status(buffer: BufferType) -> (size: u32, flags: u32) };
        "proxy_get_configuration" = { buffers::get_configuration() -> (bytes: bytes) };
    }
    "HTTP fields" {
        "proxy_get_header_map_pairs" = { headers::get_header_map_pairs(map: MapType) -> (pairs: bytes) };
        "proxy_set_header_map_pairs" = { headers::set_header_map_pairs(map: MapType, pairs: bytes) -> () };
        "proxy_get_header_map_size" = { headers::get_header_map_size(map: MapType) -> (size: u32) };
        "proxy_get_header_map_value"
            = { headers::get_header_map_value(map: MapType, key: bytes) -> (value: bytes) };
        "proxy_add_header_map_value"
            = { headers::add_header_map_value(map: MapType, key: bytes, value: bytes) -> () };
        "proxy_replace_header_map_value"
            = { headers::replace_header_map_value(map: MapType, key: bytes, value: bytes) -> () };
        "proxy_remove_header_map_value" = { headers::remove_header_map_value(map: MapType, key: bytes) -> () };
    }
    "Properties" {
        "proxy_get_property" = { properties::get_property(path: bytes) -> (value: bytes) };
        "proxy_set_property" = { properties::set_property(path: bytes, value: bytes) -> () };
    }
    "Streams" {
        "proxy_continue_stream" = { streams::continue_stream(stream: StreamType) -> () };
        "proxy_continue_request" | "proxy_resume_http_request"
            = { streams::continue_request() -> () };
        "proxy_continue_response" | "proxy_resume_http_response"
            = { streams::continue_response() -> () };
        "proxy_close_stream" = { streams::close_stream(stream: StreamType) -> () };
        "proxy_clear_route_cache" = { streams::clear_route_cache() -> () };
    }
    "Local responses" {
        "proxy_send_local_response" | "proxy_send_http_response"
            = { responses::send_local_response(
                status: u32, details: bytes, body: bytes, headers: bytes, grpc_status: u32
            ) -> () };
    }
    "HTTP callouts" {
        "proxy_http_call" | "proxy_dispatch_http_call"
            = { callouts::http_call(
                upstream: bytes, headers: bytes, body: bytes, trailers: bytes, timeout: u32
            ) -> (token: u32) };
    }
    "gRPC callouts" {
        "proxy_grpc_call"
            = { grpc::grpc_call(
                upstream: bytes, service: bytes, method: bytes, metadata: bytes, message: bytes,
                timeout: u32
            ) -> (token: u32) };
        "proxy_grpc_stream"
            = { grpc::grpc_stream(
                upstream: bytes, service: bytes, method: bytes, metadata: bytes
            ) -> (token: u32) };
        "proxy_grpc_send"
            = { grpc::grpc_send(token: u32, message: bytes, end_of_stream: u32) -> () };
        "proxy_grpc_cancel" = { grpc::grpc_cancel(token: u32) -> () };
        "proxy_grpc_close" = { grpc::grpc_close(token: u32) -> () };
        "proxy_get_status" = { callouts::get_status() -> (code: u32, message: bytes) };
    }
    "Shared data" {
        "proxy_get_shared_data"
            = { shared_data::get_shared_data(key: bytes) -> (value: bytes, cas: u32) };
        "proxy_set_shared_data"
            = { shared_data::set_shared_data(key: bytes, value: bytes, cas: u32) -> () };
    }
    "Shared queues" {
        "proxy_register_shared_queue"
            = { shared_queues::register_shared_queue(name: bytes) -> (token: u32) };
        "proxy_resolve_shared_queue"
            = { shared_queues::resolve_shared_queue(vm_id: bytes, name: bytes) -> (token: u32) };
        "proxy_dequeue_shared_queue"
            = { shared_queues::dequeue_shared_queue(token: u32) -> (value: bytes) };
        "proxy_enqueue_shared_queue"
            = { shared_queues::enqueue_shared_queue(token: u32, value: bytes) -> () };
    }
    "Metrics" {
        "proxy_define_metric" = { metrics::define_metric(kind: MetricType, name: bytes) -> (id: u32) };
        "proxy_increment_metric" = { metrics::increment_metric(id: u32, offset: u64) -> () };
        "proxy_record_metric" = { metrics::record_metric(id: u32, value: u64) -> () };
        "proxy_get_metric" = { metrics::get_metric(id: u32) -> (value: u64) };
    }
    "Contexts" {
        "proxy_set_effective_context" = { contexts::set_effective_context(id: u32) -> () };
        "proxy_done" = { contexts::done() -> () };
    }
    "Foreign functions" {
        "proxy_call_foreign_function"
            = { foreign::call_foreign_function(name: bytes, argument: bytes) -> (result: bytes) };
    }
    "Drafts and other hosts" {
        "proxy_send_grpc_call_message" = { unimplemented };
        "proxy_remove_metric" = { unimplemented };
        "proxy_remove_shared_queue" = { unimplemented };
        "proxy_resume_downstream" = { unimplemented };
        "proxy_resume_upstream" = { unimplemented };
        "proxy_resume_stream" = { unimplemented };
        "proxy_resume_http_stream" = { unimplemented };
        "proxy_context_finalize" = { unimplemented };
        "proxy_create_timer" = { unimplemented };
        "proxy_delete_timer" = { unimplemented };
        "proxy_get_map_values" = { unimplemented };
        "proxy_set_map_values" = { unimplemented };
        "proxy_open_shared_kvstore" = { unimplemented };
        "proxy_get_shared_kvstore_key_values" = { unimplemented };
        "proxy_set_shared_kvstore_key_values" = { unimplemented };
        "proxy_add_shared_kvstore_key_values" = { unimplemented };
        "proxy_remove_shared_kvstore_key" = { unimplemented };
        "proxy_delete_shared_kvstore" = { unimplemented };
        "proxy_close_http_stream" = { unimplemented };
        "proxy_open_shared_queue" = { unimplemented };
        "proxy_dequeue_shared_queue_item" = { unimplemented };
        "proxy_enqueue_shared_queue_item" = { unimplemented };
        "proxy_delete_shared_queue" = { unimplemented };
        "proxy_create_metric" = { unimplemented };
        "proxy_get_metric_value" = { unimplemented };
        "proxy_set_metric_value" = { unimplemented };
        "proxy_increment_metric_value" = { unimplemented };
        "proxy_delete_metric" = { unimplemented };
        "proxy_dispatch_grpc_call" = { unimplemented };
        "proxy_open_grpc_stream" = { unimplemented };
        "proxy_send_grpc_stream_message" = { unimplemented };
        "proxy_cancel_grpc_call" = { unimplemented };
        "proxy_close_grpc_call" = { unimplemented };
        "proxy_call_custom_function" = { unimplemented };
        "proxy_redis_init" = { unimplemented };
        "proxy_redis_call" = { unimplemented };
        "envoy_resolve_dns" = { unimplemented };
    }
}
