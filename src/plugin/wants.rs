//! What a module can use or see, by its exports, its imports and its code:
//! nothing else is found out for it.

use super::lifecycle::Options;
use crate::vm::Module;

/// Parameters of the header callbacks.
const HEADER_COUNT: u32 = 1;
const END_OF_STREAM: u32 = 2;

#[derive(Clone, Copy, Debug)]
pub struct Wants {
    pub request_body: bool,
    /// The number of request headers.
    pub request_count: bool,
    /// Whether the request has a body.
    pub request_end: bool,
    pub response_headers: bool,
    /// The list of response headers, or its length.
    pub response_list: bool,
    pub response_body: bool,
    /// Trailers of the response, which come with the end of its body.
    pub response_trailers: bool,
    /// Whether the response has a body.
    pub response_end: bool,
    /// The operator says that it sees no response bodies.
    pub no_response_bodies: bool,
    /// Anything from the response headers on, the end of it included.
    pub response: bool,
    /// It can have a say in response bodies: by a callback, or by a response
    /// of its own.
    pub bodies: bool,
    /// It can change response bodies.
    pub edits_response_body: bool,
    /// It can call foreign functions.
    pub foreign: bool,
}

impl Wants {
    /// Whatever a module may want, where nobody knows the module yet.
    pub fn unknown(options: &Options) -> Self {
        Wants {
            request_body: options.request_body,
            request_count: true,
            request_end: options.request_body,
            response_headers: true,
            response_list: true,
            response_body: options.response_body,
            response_trailers: options.response_body,
            response_end: true,
            no_response_bodies: !options.response_body,
            response: true,
            bodies: true,
            edits_response_body: options.response_body,
            foreign: true,
        }
    }

    pub fn of(module: &Module, options: &Options) -> Self {
        let capabilities = &options.capabilities;
        let imports = |names: &[&str]| {
            let mut imports = module.imports();
            imports.any(|import| names.contains(&import.name) && capabilities.allow(import.name))
        };
        let has = |export: &str| module.has_function(export) && capabilities.allow(export);
        let reads =
            |export: &str, parameter| has(export) && module.reads_parameter(export, parameter);
        let request_body = options.request_body && has("proxy_on_request_body");
        let response_headers = has("proxy_on_response_headers");
        let response_body = options.response_body && has("proxy_on_response_body");
        let response_trailers = options.response_body && has("proxy_on_response_trailers");
        let lists = imports(&[
            "proxy_get_header_map_pairs",
            "proxy_set_header_map_pairs",
            "proxy_get_header_map_size",
        ]);
        Wants {
            request_body,
            request_count: reads("proxy_on_request_headers", HEADER_COUNT),
            // Where no body will come, the headers are the end.
            request_end: request_body
                || (options.request_body && reads("proxy_on_request_headers", END_OF_STREAM)),
            response_headers,
            response_list: response_headers
                && (lists || reads("proxy_on_response_headers", HEADER_COUNT)),
            response_body,
            response_end: response_body || reads("proxy_on_response_headers", END_OF_STREAM),
            no_response_bodies: !options.response_body,
            response_trailers,
            response: response_headers || response_body || response_trailers || has("proxy_on_log"),
            bodies: response_body
                || response_trailers
                || imports(&["proxy_send_local_response", "proxy_send_http_response"]),
            edits_response_body: response_body
                && imports(&["proxy_set_buffer_bytes", "proxy_set_buffer"]),
            foreign: imports(&["proxy_call_foreign_function"]),
        }
    }
}
