//! A plugin whose configuration is a script that says what to do in which callback:
//!
//! ```text
//! configure         define_metric counter hits
//! request_headers   increment_metric hits 1
//! request_headers   if_header x-block yes local_response 403 "no\n" x-why=asked
//! response_headers  set_header response x-path $path
//! ```
//!
//! See script.rs for the language and commands.rs for the commands. A VM configuration that is a
//! script too serves the root context's `root_create` and `vm_start`, which come before the
//! plugin's own.

mod call;
mod commands;
mod imports;
mod script;

use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use call::Call;
use commands::{log_error, Runner};
use script::Script;

proxy_wasm::main! {{
    // For the panic hook that comes with it.
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|id| {
        let mut root = Scripted::new(id, true, Rc::default());
        root.script = vm_script();
        root.run("root_create", &[]);
        Box::new(root)
    });
}}

/// A root or http context.
struct Scripted {
    id: u32,
    is_root: bool,
    script: Rc<Script>,
    variables: HashMap<Vec<u8>, Vec<u8>>,
}

/// What the lines of a callback made it return.
struct Outcome {
    action: Action,
    result: bool,
}

impl Scripted {
    fn new(id: u32, is_root: bool, script: Rc<Script>) -> Scripted {
        Scripted {
            id,
            is_root,
            script,
            variables: HashMap::new(),
        }
    }

    fn run(&mut self, callback: &'static str, params: &[(&'static str, u64)]) -> Outcome {
        let mut runner = Runner {
            context: self.id,
            is_root: self.is_root,
            callback,
            params,
            variables: &mut self.variables,
            action: 0,
            result: true,
        };
        runner.run(&self.script);
        Outcome {
            action: action(runner.action),
            result: runner.result,
        }
    }
}

/// The SDK knows two actions; the ABI has more, and a script may return any number at all.
#[inline(never)]
fn action(number: u32) -> Action {
    // SAFETY: not strictly. It is repr(u32), nobody looks at it between here and the host, and a
    // number outside the enum is what a test of the host needs.
    unsafe { std::mem::transmute(std::hint::black_box(number)) }
}

fn configuration(buffer: u64) -> Vec<u8> {
    let reply = Call::new("proxy_get_buffer_bytes")
        .number(buffer)
        .number(0)
        .number(u64::MAX)
        .data_out()
        .run();
    reply.map_or(vec![], |reply| reply.value)
}

fn vm_script() -> Rc<Script> {
    let source = configuration(6);
    if !Script::looks_like(&source) {
        return Rc::default();
    }
    Rc::new(Script::parse(&source).unwrap_or_else(|why| {
        log_error(&why);
        Script::default()
    }))
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.run("delete", &[]);
    }
}

impl Context for Scripted {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
        self.run(
            "http_call_response",
            &[
                ("token", token.into()),
                ("num_headers", headers as u64),
                ("body_size", body as u64),
                ("num_trailers", trailers as u64),
            ],
        );
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        self.run(
            "grpc_call_response",
            &[
                ("token", token.into()),
                ("status", status.into()),
                ("size", size as u64),
            ],
        );
    }

    fn on_grpc_stream_initial_metadata(&mut self, token: u32, count: u32) {
        self.run(
            "grpc_initial_metadata",
            &[("token", token.into()), ("count", count.into())],
        );
    }

    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        self.run(
            "grpc_message",
            &[("token", token.into()), ("size", size as u64)],
        );
    }

    fn on_grpc_stream_trailing_metadata(&mut self, token: u32, count: u32) {
        self.run(
            "grpc_trailing_metadata",
            &[("token", token.into()), ("count", count.into())],
        );
    }

    fn on_grpc_stream_close(&mut self, token: u32, status: u32) {
        self.run(
            "grpc_close",
            &[("token", token.into()), ("status", status.into())],
        );
    }

    fn on_foreign_function(&mut self, id: u32, size: usize) {
        self.run(
            "foreign_function",
            &[("id", id.into()), ("size", size as u64)],
        );
    }

    fn on_done(&mut self) -> bool {
        self.run("done", &[]).result
    }
}

impl RootContext for Scripted {
    fn on_vm_start(&mut self, size: usize) -> bool {
        self.script = vm_script();
        self.run("vm_start", &[("configuration_size", size as u64)])
            .result
    }

    fn on_configure(&mut self, size: usize) -> bool {
        self.script = match Script::parse(&configuration(7)) {
            Ok(script) => Rc::new(script),
            Err(why) => {
                log_error(&why);
                return false;
            }
        };
        self.run("configure", &[("configuration_size", size as u64)])
            .result
    }

    fn on_tick(&mut self) {
        self.run("tick", &[]);
    }

    fn on_queue_ready(&mut self, token: u32) {
        self.run("queue_ready", &[("token", token.into())]);
    }

    fn on_log(&mut self) {
        self.run("log", &[]);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let mut context = Scripted::new(id, false, self.script.clone());
        context.run("context_create", &[("root", self.id.into())]);
        Some(Box::new(context))
    }
}

fn headers(count: usize, end_of_stream: bool) -> [(&'static str, u64); 2] {
    [
        ("num_headers", count as u64),
        ("end_of_stream", end_of_stream.into()),
    ]
}

fn body(size: usize, end_of_stream: bool) -> [(&'static str, u64); 2] {
    [
        ("size", size as u64),
        ("end_of_stream", end_of_stream.into()),
    ]
}

impl HttpContext for Scripted {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        self.run("request_headers", &headers(count, end_of_stream))
            .action
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run("request_body", &body(size, end_of_stream)).action
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.run("request_trailers", &[("num_trailers", count as u64)])
            .action
    }

    fn on_http_response_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        self.run("response_headers", &headers(count, end_of_stream))
            .action
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run("response_body", &body(size, end_of_stream)).action
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.run("response_trailers", &[("num_trailers", count as u64)])
            .action
    }

    fn on_log(&mut self) {
        self.run("log", &[]);
    }
}
