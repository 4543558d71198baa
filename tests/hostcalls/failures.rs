//! Every way in which a host function fails, and what it answers: `statuses.rs`
//! drives them all, and says whom they would harm.

/// Why a status may be one that an SDK does not survive: these are all such
/// reasons, and docs/SUPPORT.md has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Except {
    /// No SDK calls it so: numbers that no enumeration has, addresses outside
    /// the memory, calls within an allocator.
    NoSdkDoes,
    /// Envoy's rules of metrics: the Go SDK panics on Envoy, too.
    MetricsGo,
    /// Envoy's statuses of its foreign functions, and Lua's failures: the Rust
    /// SDK 0.2.0 does not survive them, 0.2.5 does.
    ForeignRust,
    /// The plugin has no memory left for the result: nothing can be true.
    NoMemory,
    /// The operator has forbidden it (`capabilities`): as on Envoy.
    Forbidden,
    /// It tries again and again, in one callback, what was refused.
    Stubborn,
}
use Except::*;

/// What is wrong around the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Where {
    /// Nothing.
    Request,
    /// There is no request.
    Root,
    Body,
    ResponseBody,
    Log,
    /// What the operator allows is little: 64 bytes of callouts, keys and values
    /// of 4 bytes.
    Small,
    /// The plugin's share of shared state is 4 KiB.
    Poor,
    /// Shared state has no room.
    Full,
    /// Shared state has room for this many entries.
    Room(usize),
    /// Another worker was stopped in the middle of a change of shared state, when
    /// this many changes had been made.
    Stopped(u32),
    /// The guest has 64 MiB.
    Huge,
    /// The guest's allocator has none.
    NoAllocator,
    /// The operator allows nothing.
    Denied,
}
use Where::*;

/// Where, the call, what it answers, and why an SDK may not survive that. Of
/// several calls, separated by `;`, the last one counts; `17*` makes a call so
/// many times, and `LONG` is 1025 letters.
pub type Failure = (Where, &'static str, &'static str, Option<Except>);

// A row each.
#[rustfmt::skip]
pub const FAILURES: &[Failure] = &[
    (Request, r#"proxy_log 6 "x""#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, "proxy_get_buffer_bytes 9 0 1 **", "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, "proxy_get_buffer_bytes 4 0 1 **", "NOT_FOUND", None),
    (Request, "proxy_get_buffer_bytes 0 5 9 **", "OK", None),
    (Root, "proxy_get_buffer_bytes 1 0 9 **", "OK", None),
    (Request, r#"proxy_set_buffer_bytes 7 0 1 "x""#, "OK", None),
    (Request, r#"proxy_set_buffer_bytes 0 0 1 "x""#, "OK", None),
    (Root, r#"proxy_set_buffer_bytes 1 0 1 "x""#, "OK", None),
    (Body, r#"proxy_set_buffer_bytes 0 0 0 "more than eight""#, "OK", None),
    (ResponseBody, r#"proxy_set_buffer_bytes 1 0 0 "more than eight""#, "OK", None),
    (Request, r#"proxy_set_buffer_bytes 9 0 1 "x""#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Root, "proxy_get_buffer_status 0 * *", "OK", None),
    (Root, "proxy_get_header_map_size 0 *", "BAD_ARGUMENT", None),
    (Root, "proxy_get_header_map_pairs 0 **", "OK", None),
    (Request, "proxy_get_header_map_pairs 9 **", "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Root, r#"proxy_set_header_map_pairs 0 """#, "OK", None),
    (Request, r#"proxy_set_header_map_pairs 0 "malformed""#, "OK", None),
    (Log, r#"proxy_set_header_map_pairs 2 """#, "OK", None),
    (Request, r#"proxy_set_header_map_pairs 6 """#, "OK", None),
    (Request, r#"proxy_get_header_map_value 0 "x-none" **"#, "NOT_FOUND", None),
    (Root, r#"proxy_get_header_map_value 0 "x-one" **"#, "NOT_FOUND", None),
    (Request, r#"proxy_get_header_map_value 7 "x-one" **"#, "NOT_FOUND", None),
    (Request, r#"proxy_add_header_map_value 0 "x\0a" "1""#, "OK", None),
    (Log, r#"proxy_add_header_map_value 2 "x" "1""#, "OK", None),
    (Root, r#"proxy_add_header_map_value 0 "x" "1""#, "OK", None),
    (Request, r#"proxy_replace_header_map_value 0 "" "1""#, "OK", None),
    (Request, r#"proxy_replace_header_map_value 0 ":method" "NONE""#, "OK", None),
    (Request, r#"proxy_replace_header_map_value 0 ":path" "/../x""#, "OK", None),
    (Request, r#"proxy_replace_header_map_value 0 ":scheme" "x""#, "OK", None),
    (ResponseBody, r#"proxy_replace_header_map_value 2 ":status" "404""#, "OK", None),
    (Request, r#"proxy_replace_header_map_value 7 "a" "1""#, "OK", None),
    (Request, r#"proxy_remove_header_map_value 0 ":path""#, "OK", None),
    (Root, r#"proxy_remove_header_map_value 2 "x""#, "OK", None),
    (Request, r#"proxy_get_property "none\00of\00these" **"#, "NOT_FOUND", None),
    (Request, r#"proxy_get_property "" **"#, "NOT_FOUND", None),
    (Root, r#"proxy_get_property "request\00path" **"#, "NOT_FOUND", None),
    (Request, r#"proxy_set_property "request\00path" "x""#, "OK", None),
    (Request, r#"proxy_set_property "ngx\00none" "x""#, "OK", None),
    (Root, r#"proxy_set_property "mine" "x""#, "OK", None),
    (Request, "proxy_continue_stream 2", "OK", None),
    (Request, "proxy_continue_stream 3", "OK", None),
    (Root, "proxy_continue_stream 0", "OK", None),
    (Request, "proxy_continue_stream 4", "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Root, "proxy_continue_request", "OK", None),
    (Root, "proxy_continue_response", "OK", None),
    (Request, "proxy_close_stream 2", "OK", None),
    (Request, "proxy_close_stream 3", "OK", None),
    (Root, "proxy_close_stream 1", "OK", None),
    (Log, "proxy_close_stream 0", "OK", None),
    (Request, "proxy_close_stream 4", "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Root, r#"proxy_send_local_response 200 "" "" "" -1"#, "OK", None),
    (Log, r#"proxy_send_local_response 200 "" "" "" -1"#, "OK", None),
    (Request, r#"proxy_send_local_response 7 "" "" "" -1"#, "OK", None),
    (Request, r#"proxy_send_local_response 200 "" "" "malformed" -1"#, "OK", None),
    (Request, r#"proxy_send_local_response 200 "" "more than eight" "" -1"#, "OK", None),
    (Request, r#"proxy_send_local_response 200 "" "" "" -1;proxy_send_local_response 201 "" "" "" -1"#, "OK", None),
    (Request, r#"proxy_http_call "h:70000" "MAP" "" "" 9 *"#, "BAD_ARGUMENT", None),
    (Request, r#"proxy_http_call "h:1" "" "" "" 9 *"#, "BAD_ARGUMENT", None),
    (Request, r#"proxy_http_call "h:1" "MAP" "" "malformed" 9 *"#, "BAD_ARGUMENT", None),
    (Request, r#"proxy_http_call "h:1" "MAP" "" "" -1 *"#, "BAD_ARGUMENT", None),
    (Request, r#"proxy_http_call "h:1" "MAP" "" "" 9 *;proxy_http_call "h:1" "MAP" "" "" 9 *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_call "h:70000" "s" "m" "" "" 9 *"#, "PARSE_FAILURE", None),
    (Request, r#"proxy_grpc_call "h:1" "s" "m" "malformed" "" 9 *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_call "h:1" "s\0a" "m" "" "" 9 *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_stream "h:70000" "s" "m" "" *"#, "PARSE_FAILURE", None),
    (Request, r#"proxy_grpc_stream "h:1" "s" "m" "malformed" *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_send 77 "x" 0"#, "NOT_FOUND", None),
    (Request, r#"proxy_http_call "h:1" "MAP" "" "" 9 *;proxy_grpc_send 1 "x" 0"#, "BAD_ARGUMENT", None),
    (Request, r#"proxy_grpc_stream "h:1" "s" "m" "" *;proxy_grpc_close 1;proxy_grpc_send 1 "x" 0"#, "BAD_ARGUMENT", None),
    (Request, "proxy_grpc_cancel 77", "NOT_FOUND", None),
    (Request, "proxy_grpc_close 77", "NOT_FOUND", None),
    (Request, "proxy_get_status * **", "OK", None),
    (Request, r#"proxy_get_shared_data "none" ** *"#, "NOT_FOUND", None),
    (Request, r#"proxy_set_shared_data "k" "v" 0;proxy_set_shared_data "k" "v" 7"#, "CAS_MISMATCH", None),
    (Full, r#"proxy_set_shared_data "k" "v" 0"#, "CAS_MISMATCH", None),
    (Full, r#"proxy_set_shared_data "k" "v" 7"#, "CAS_MISMATCH", None),
    (Full, r#"17*proxy_set_shared_data "k" "v" 0"#, "INTERNAL_FAILURE", Some(Stubborn)),
    (Full, r#"proxy_register_shared_queue "q" *"#, "OK", None),
    (Full, r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 0 "x""#, "NOT_FOUND", None),
    (Full, r#"proxy_register_shared_queue "q" *;proxy_dequeue_shared_queue 0 **"#, "NOT_FOUND", None),
    (Request, r#"proxy_resolve_shared_queue "vm" "none" *"#, "NOT_FOUND", None),
    (Request, "proxy_dequeue_shared_queue 77 **", "NOT_FOUND", None),
    (Request, r#"proxy_register_shared_queue "q" *;proxy_dequeue_shared_queue 1 **"#, "EMPTY", None),
    (Request, r#"proxy_enqueue_shared_queue 77 "x""#, "NOT_FOUND", None),
    (Request, r#"proxy_define_metric 0 "" *"#, "OK", None),
    (Request, r#"proxy_define_metric 0 "m" *;proxy_define_metric 1 "m" *"#, "OK", None),
    (Full, r#"proxy_define_metric 0 "m" *"#, "OK", None),
    (Full, r#"proxy_define_metric 0 "m" *;proxy_increment_metric -1 1L"#, "OK", None),
    (Full, r#"proxy_define_metric 2 "m" *;proxy_record_metric -1 1L"#, "OK", None),
    (Full, r#"proxy_define_metric 0 "m" *;proxy_get_metric -1 #"#, "OK", None),
    (Request, r#"proxy_define_metric 3 "m" *"#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, "proxy_increment_metric 77 1L", "NOT_FOUND", Some(MetricsGo)),
    (Request, r#"proxy_define_metric 0 "m" *;proxy_increment_metric 1 -1L"#, "BAD_ARGUMENT", Some(MetricsGo)),
    (Request, r#"proxy_define_metric 2 "m" *;proxy_increment_metric 1 1L"#, "BAD_ARGUMENT", Some(MetricsGo)),
    (Request, "proxy_record_metric 77 1L", "NOT_FOUND", Some(MetricsGo)),
    (Request, "proxy_get_metric 77 #", "NOT_FOUND", Some(MetricsGo)),
    (Request, r#"proxy_define_metric 2 "m" *;proxy_get_metric 1 #"#, "BAD_ARGUMENT", Some(MetricsGo)),
    (Request, "proxy_set_effective_context 77", "BAD_ARGUMENT", None),
    (Request, "proxy_done", "OK", None),
    (Request, r#"proxy_call_foreign_function "none" "" **"#, "NOT_FOUND", None),
    (Request, r#"proxy_call_foreign_function "declare_property" "\ff" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Request, r#"proxy_call_foreign_function "verify_signature" "" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Request, r#"proxy_call_foreign_function "sign" "" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Request, r#"proxy_call_foreign_function "uncompress" "x" **"#, "SERIALIZATION_FAILURE", Some(ForeignRust)),
    (Request, "proxy_get_current_time_nanoseconds -1", "INVALID_MEMORY_ACCESS", Some(NoSdkDoes)),
    (Root, "proxy_set_tick_period_milliseconds -1", "OK", None),
    (Root, "proxy_clear_route_cache", "OK", None),
    (Root, "proxy_get_log_level *", "OK", None),

    (Request, "proxy_get_buffer_status 4 * *", "NOT_FOUND", None),
    (Request, "proxy_get_buffer_status 9 * *", "BAD_ARGUMENT", None),
    (Request, r#"proxy_set_header_map_pairs 9 """#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, "proxy_get_header_map_size 9 *", "BAD_ARGUMENT", None),
    (Request, r#"proxy_get_header_map_value 9 "x" **"#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, r#"proxy_add_header_map_value 9 "x" "1""#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, r#"proxy_replace_header_map_value 9 "x" "1""#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, r#"proxy_remove_header_map_value 9 "x""#, "BAD_ARGUMENT", Some(NoSdkDoes)),
    (Request, "proxy_continue_request", "OK", None),
    (Request, "proxy_get_configuration **", "OK", None),
    (Request, r#"proxy_http_call "" "MAP" "" "" 9 *"#, "BAD_ARGUMENT", None),
    (Small, r#"proxy_http_call "h:1" "MAP" "more than sixty-four bytes, which is all that callouts may have in flight" "" 9 *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_call "h:1" "s" "m" "" "" 9 *;proxy_grpc_call "h:1" "s" "m" "" "" 9 *"#, "INTERNAL_FAILURE", None),
    (Small, r#"proxy_grpc_call "h:1" "s" "m" "" "more than sixty-four bytes, which is all that callouts may have in flight" 9 *"#, "INTERNAL_FAILURE", None),
    (Huge, r#"proxy_grpc_call "h:1" "s" "m" "" 0 17825793 9 *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_stream "h:1" "s" "m" "" *;proxy_grpc_stream "h:1" "s" "m" "" *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_stream "h:1" "s\0a" "m" "" *"#, "INTERNAL_FAILURE", None),
    (Request, r#"proxy_grpc_call "h:1" "s" "m" "" "" 9 *;proxy_grpc_send 1 "x" 0"#, "BAD_ARGUMENT", None),
    (Small, r#"proxy_grpc_stream "h:1" "s" "m" "" *;proxy_grpc_send 1 "more than sixty-four bytes, which is all that callouts may have in flight" 0"#, "BAD_ARGUMENT", None),
    (Huge, r#"proxy_grpc_stream "h:1" "s" "m" "" *;proxy_grpc_send 1 0 17825793 0"#, "BAD_ARGUMENT", None),
    (Small, r#"proxy_set_shared_data "a key" "v" 0"#, "CAS_MISMATCH", None),
    (Small, r#"proxy_set_shared_data "k" "a value" 0"#, "CAS_MISMATCH", None),
    (Poor, r#"proxy_set_shared_data "k" 0 8192 0"#, "CAS_MISMATCH", None),
    (Stopped(0), r#"proxy_set_shared_data "k" "v" 0"#, "CAS_MISMATCH", None),
    (Stopped(1), r#"proxy_set_shared_data "k" "v" 0;proxy_set_shared_data "k" "w" 1"#, "CAS_MISMATCH", None),
    (Request, r#"proxy_register_shared_queue "LONG" *"#, "OK", None),
    (Request, r#"proxy_resolve_shared_queue "" "LONG" *"#, "NOT_FOUND", None),
    (Stopped(1), r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 1 "x";proxy_dequeue_shared_queue 1 **"#, "EMPTY", None),
    (Stopped(0), r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 1 "x""#, "NOT_FOUND", None),
    (Small, r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 1 "a value""#, "NOT_FOUND", None),
    (Poor, r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 1 0 8192"#, "NOT_FOUND", None),
    (Room(12), r#"proxy_register_shared_queue "q" *;99*proxy_enqueue_shared_queue 1 "x""#, "NOT_FOUND", None),
    (Request, r#"proxy_define_metric 0 "LONG" *"#, "OK", None),
    (Request, r#"proxy_define_metric 0 "m" *;proxy_increment_metric 1 0L"#, "BAD_ARGUMENT", Some(MetricsGo)),
    (Request, r#"proxy_call_foreign_function "resolve" "no.such.name.invalid" **"#, "NOT_FOUND", None),
    (Root, r#"proxy_call_foreign_function "declare_property" "\0a\01x" **;proxy_call_foreign_function "declare_property" "\0a\01x" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Root, r#"proxy_call_foreign_function "declare_property" "\0a\81\08LONG" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Request, r#"proxy_call_foreign_function "verify_signature" "\12\01x\2a\01x" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Request, r#"proxy_call_foreign_function "sign" "\12\01x\22\01x" **"#, "BAD_ARGUMENT", Some(ForeignRust)),
    (Huge, r#"proxy_call_foreign_function "any" 0 33554433 **"#, "INTERNAL_FAILURE", Some(ForeignRust)),
    (Huge, r#"proxy_call_foreign_function "compress" 131072 17825793 **;proxy_call_foreign_function "uncompress" 65536 65536 **"#, "INTERNAL_FAILURE", Some(ForeignRust)),
    // Lua has it, and is not there.
    (Request, r#"proxy_call_foreign_function "of Lua" "" **"#, "INTERNAL_FAILURE", Some(ForeignRust)),

    // -- the guest's allocator has no memory for what comes back -------------
    (NoAllocator, "proxy_get_buffer_bytes 7 0 9 **", "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, "proxy_get_configuration **", "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, "proxy_get_header_map_pairs 0 **", "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, r#"proxy_get_header_map_value 0 "x-one" **"#, "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, r#"proxy_get_property "plugin_name" **"#, "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, r#"proxy_set_shared_data "k" "v" 0;proxy_get_shared_data "k" ** *"#, "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, r#"proxy_register_shared_queue "q" *;proxy_enqueue_shared_queue 1 "x";proxy_dequeue_shared_queue 1 **"#, "INTERNAL_FAILURE", Some(NoMemory)),
    (NoAllocator, r#"proxy_call_foreign_function "compress" "x" **"#, "INTERNAL_FAILURE", Some(NoMemory)),

    // -- the operator does not allow it: for all, see `statuses.rs` -----------
    (Denied, "proxy_get_buffer_bytes 7 0 9 **", "INTERNAL_FAILURE", Some(Forbidden)),
];

/// What only nginx, with its Lua, can drive: the function, the status, and where
/// t/ does it: a file, the title of a block, and a line that it wants.
pub const IN_NGINX: &[(&str, &str, &str, &str, &str)] = &[
    (
        "proxy_call_foreign_function",
        "INTERNAL_FAILURE",
        "t/hostcalls/foreign.t",
        "an error, of whatever kind: INTERNAL_FAILURE, and the log names the function",
        "foreign(raises) = INTERNAL_FAILURE",
    ),
    (
        "proxy_call_foreign_function",
        "INTERNAL_FAILURE",
        "t/hostcalls/foreign.t",
        "Lua has no memory between the question and the answer: the guest gets 10, and the plugin is not busy",
        "foreign(echo one) = INTERNAL_FAILURE",
    ),
    (
        "proxy_call_foreign_function",
        "NOT_FOUND",
        "t/hostcalls/foreign.t",
        "a Lua function takes the place of one that is built in, until it is taken away",
        "foreign(gone) = NOT_FOUND",
    ),
];
