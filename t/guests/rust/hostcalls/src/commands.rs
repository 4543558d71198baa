//! The commands. Each that asks something of the host logs `NAME(words) = STATUS outputs`; the host
//! functions themselves, by their full names, take raw arguments (see [`Runner::raw`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use proxy_wasm::hostcalls;

use crate::call::{self, show, Call, Reply};
use crate::imports;
use crate::script::{self, Line, Script, Word};

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "critical"];
const MAPS: &[&str] = &[
    "request",
    "request_trailers",
    "response",
    "response_trailers",
    "grpc_initial",
    "grpc_trailing",
    "call_response",
    "call_trailers",
];
const BUFFERS: &[&str] = &[
    "request_body",
    "response_body",
    "downstream_data",
    "upstream_data",
    "call_body",
    "grpc_message",
    "vm_configuration",
    "plugin_configuration",
    "call_data",
];
const STREAMS: &[&str] = &["request", "response", "downstream", "upstream"];
const METRICS: &[&str] = &["counter", "gauge", "histogram"];

/// Commands that only steer the script, and say nothing about themselves.
const SILENT: &[&str] = &[
    "log",
    "echo_params",
    "pause",
    "continue_action",
    "action",
    "return",
    "remember",
];

type Variables = HashMap<Vec<u8>, Vec<u8>>;

/// What the commands of all contexts remember, by name.
#[derive(Default)]
struct Memory {
    metrics: HashMap<Vec<u8>, u64>,
    queues: HashMap<Vec<u8>, u64>,
    cas: HashMap<Vec<u8>, u64>,
    /// Token of an HTTP call → its upstream.
    calls: HashMap<u64, Vec<u8>>,
    last_grpc: u64,
    /// The http context that made a call, or said `remember`, last.
    origin: u32,
    hoard: Vec<Vec<u8>>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

fn memory<T>(with: impl FnOnce(&mut Memory) -> T) -> T {
    MEMORY.with_borrow_mut(with)
}

pub fn log(level: usize, text: &str) {
    imports::env::call(
        "proxy_log",
        &[level as u64, text.as_ptr() as u64, text.len() as u64],
    );
}

pub fn log_error(text: &str) {
    log(4, &format!("script: {text}"));
}

/// One callback of one context, while its lines run.
pub struct Runner<'a> {
    pub context: u32,
    pub is_root: bool,
    pub callback: &'static str,
    pub params: &'a [(&'static str, u64)],
    pub variables: &'a mut Variables,
    /// What the callback is to return, if it returns an action …
    pub action: u32,
    /// … or a bool.
    pub result: bool,
}

impl Runner<'_> {
    pub fn run(&mut self, script: &Script) {
        let callback = self.callback;
        for line in script.lines.iter().filter(|line| line.callback == callback) {
            if let Err(why) = self.execute(line, &line.words) {
                log_error(&format!("line {}: {why}", line.number));
            }
        }
    }

    /// Commands that run another one, and the others.
    fn execute(&mut self, line: &Line, words: &[Word]) -> Result<Option<Reply>, String> {
        let args = Args(words);
        let (taken, wanted) = match args.name()?.as_str() {
            "if_header" => (2, header(0, args.bytes(1)?)? == Some(self.bytes(args, 2)?)),
            "if_property" => {
                let reply = Call::new("proxy_get_property")
                    .data(property_path(args.get(1)?))
                    .data_out()
                    .run()?;
                (2, reply.ok && reply.value == self.bytes(args, 2)?)
            }
            "if_eos" => (
                1,
                self.param("end_of_stream") == Some(u64::from(args.bool(1)?)),
            ),
            "if_root" => (1, self.is_root == args.bool(1)?),
            "if_call" => {
                let token = self.param("token").unwrap_or(u64::MAX);
                (
                    1,
                    memory(|memory| memory.calls.get(&token).cloned()) == Some(args.bytes(1)?),
                )
            }
            "once" => (0, count_run(line) == 1),
            "nth" => (1, count_run(line) == args.number(1)?),
            "repeat" => {
                let mut reply = None;
                for _ in 0..args.number(1)? {
                    reply = self.execute(line, &words[2..])?;
                }
                return Ok(reply);
            }
            "save" => {
                let reply = self.execute(line, words.get(2..).unwrap_or_default())?;
                if let Some(reply) = &reply {
                    self.variables.insert(args.bytes(1)?, reply.value.clone());
                }
                return Ok(reply);
            }
            "into_header" => {
                let reply = self.execute(line, words.get(3..).unwrap_or_default())?;
                if let Some(reply) = &reply {
                    let value = if reply.ok {
                        reply.value.clone()
                    } else {
                        reply.status.clone().into()
                    };
                    let reply = Call::new("proxy_replace_header_map_value")
                        .number(args.named(1, MAPS)?)
                        .data(args.bytes(2)?)
                        .data(value)
                        .run()?;
                    if !reply.ok {
                        return Err(format!("into_header: {}", reply.status));
                    }
                }
                return Ok(reply);
            }
            name => {
                let reply = self.command(name, args)?;
                if !SILENT.contains(&name) {
                    let sources: Vec<_> = words[1..].iter().map(|word| &*word.source).collect();
                    let line = format!(
                        "{name}({}) = {} {}",
                        sources.join(" "),
                        reply.status,
                        reply.text
                    );
                    log(2, line.trim_end());
                }
                return Ok(Some(reply));
            }
        };
        if wanted {
            self.execute(line, words.get(1 + taken..).unwrap_or_default())
        } else {
            Ok(None)
        }
    }

    fn command(&mut self, name: &str, args: Args) -> Result<Reply, String> {
        Ok(match name {
            // What the callback returns.
            "pause" => self.set_action(1),
            "continue_action" => self.set_action(0),
            "action" => self.set_action(args.number(1)? as u32),
            "return" => {
                self.result = args.bool(1)?;
                Reply::ok("")
            }

            // The log, and what the callback was told.
            "log" => {
                let text = self.bytes(args, 2)?;
                Call::new("proxy_log")
                    .number(args.named(1, LEVELS)?)
                    .data(text)
                    .run()?
            }
            "log_level" => Call::new("proxy_get_log_level").number_out().run()?,
            "echo_params" => {
                let mut text = format!("{}: context={}", self.callback, self.context);
                for (name, value) in self.params {
                    text.push_str(&match *name {
                        "end_of_stream" => format!(" {name}={}", *value != 0),
                        _ => format!(" {name}={value}"),
                    });
                }
                log(2, &text);
                Reply::ok(text)
            }

            // Header maps.
            "get_header" => Call::new("proxy_get_header_map_value")
                .number(args.named(1, MAPS)?)
                .data(self.bytes(args, 2)?)
                .data_out()
                .run()?,
            "set_header" => self.header_call("proxy_replace_header_map_value", args)?,
            "add_header" => self.header_call("proxy_add_header_map_value", args)?,
            "remove_header" => Call::new("proxy_remove_header_map_value")
                .number(args.named(1, MAPS)?)
                .data(self.bytes(args, 2)?)
                .run()?,
            "get_pairs" => {
                let mut reply = Call::new("proxy_get_header_map_pairs")
                    .number(args.named(1, MAPS)?)
                    .data_out()
                    .run()?;
                if reply.ok {
                    reply.text = match call::deserialize(&reply.value) {
                        None => format!("malformed {}", reply.text),
                        Some(pairs) => {
                            let texts: Vec<_> = pairs
                                .iter()
                                .map(|(key, value)| format!(" {}={}", show(key), show(value)))
                                .collect();
                            format!("{}{}", pairs.len(), texts.concat())
                        }
                    };
                    reply.value = reply.text.clone().into_bytes();
                }
                reply
            }
            "set_pairs" => Call::new("proxy_set_header_map_pairs")
                .number(args.named(1, MAPS)?)
                .data(call::serialize(&self.pairs(args, 2)?))
                .run()?,
            "get_map_size" => Call::new("proxy_get_header_map_size")
                .number(args.named(1, MAPS)?)
                .number_out()
                .run()?,

            // Properties.
            "get_property" => Call::new("proxy_get_property")
                .data(property_path(args.get(1)?))
                .data_out()
                .run()?,
            "get_property_raw" => Call::new("proxy_get_property")
                .data(args.bytes(1)?)
                .data_out()
                .run()?,
            "set_property" => Call::new("proxy_set_property")
                .data(property_path(args.get(1)?))
                .data(self.bytes(args, 2)?)
                .run()?,
            "set_property_raw" => Call::new("proxy_set_property")
                .data(args.bytes(1)?)
                .data(self.bytes(args, 2)?)
                .run()?,

            // Bodies and other buffers.
            "get_body" => Call::new("proxy_get_buffer_bytes")
                .number(args.named(1, BUFFERS)?)
                .number(args.number_or(2, 0)?)
                .number(args.number_or(3, u64::MAX)?)
                .data_out()
                .run()?,
            "set_body" => Call::new("proxy_set_buffer_bytes")
                .number(args.named(1, BUFFERS)?)
                .number(args.number(2)?)
                .number(args.number(3)?)
                .data(self.bytes(args, 4)?)
                .run()?,
            "replace_body" => self.replace_body(args)?,
            "get_body_status" => Call::new("proxy_get_buffer_status")
                .number(args.named(1, BUFFERS)?)
                .number_out()
                .number_out()
                .run()?,

            // The request's fate.
            "continue" => Call::new("proxy_continue_stream")
                .number(args.named(1, STREAMS)?)
                .run()?,
            "close" => Call::new("proxy_close_stream")
                .number(args.named(1, STREAMS)?)
                .run()?,
            "local_response" => self.local_response(args)?,

            // Callouts.
            "http_call" => self.http_call(args)?,
            "grpc_call" => self.grpc_call(args)?,
            "grpc_stream" => self.grpc_stream(args)?,
            "grpc_send" => Call::new("proxy_grpc_send")
                .number(self.grpc_token(args)?)
                .data(self.bytes(args, 2)?)
                .number(u64::from(args.bool(3)?))
                .run()?,
            "grpc_cancel" => Call::new("proxy_grpc_cancel")
                .number(self.grpc_token(args)?)
                .run()?,
            "grpc_close" => Call::new("proxy_grpc_close")
                .number(self.grpc_token(args)?)
                .run()?,
            "grpc_status" => Call::new("proxy_get_status")
                .number_out()
                .data_out()
                .run()?,

            // Metrics, by name or number.
            "define_metric" => {
                let name = args.bytes(2)?;
                let kind = args.named(1, METRICS)?;
                let reply = Call::new("proxy_define_metric")
                    .number(kind)
                    .data(&*name)
                    .number_out()
                    .run()?;
                if let Some(&id) = reply.numbers.first() {
                    memory(|memory| memory.metrics.insert(name, id));
                }
                reply
            }
            "increment_metric" => Call::new("proxy_increment_metric")
                .number(metric(args)?)
                .number(args.number(2)?)
                .run()?,
            "record_metric" => Call::new("proxy_record_metric")
                .number(metric(args)?)
                .number(args.number(2)?)
                .run()?,
            "get_metric" => Call::new("proxy_get_metric")
                .number(metric(args)?)
                .number_out()
                .run()?,

            // Shared data and queues, the latter by name or token.
            "shared_get" => {
                let key = args.bytes(1)?;
                let reply = Call::new("proxy_get_shared_data")
                    .data(&*key)
                    .data_out()
                    .number_out()
                    .run()?;
                if let Some(&cas) = reply.numbers.first() {
                    memory(|memory| memory.cas.insert(key, cas));
                }
                reply
            }
            "shared_set" => {
                let key = args.bytes(1)?;
                let cas = match args.get(3) {
                    Ok(word) if word.bytes == b"cas" => {
                        memory(|memory| memory.cas.get(&key).copied()).ok_or("no cas known")?
                    }
                    _ => args.number_or(3, 0)?,
                };
                let value = self.bytes(args, 2)?;
                Call::new("proxy_set_shared_data")
                    .data(key)
                    .data(value)
                    .number(cas)
                    .run()?
            }
            "register_queue" => {
                let name = args.bytes(1)?;
                let reply = Call::new("proxy_register_shared_queue")
                    .data(&*name)
                    .number_out()
                    .run()?;
                remember_queue(name, reply)
            }
            "resolve_queue" => {
                let name = args.bytes(2)?;
                let reply = Call::new("proxy_resolve_shared_queue")
                    .data(args.bytes(1)?)
                    .data(&*name)
                    .number_out()
                    .run()?;
                remember_queue(name, reply)
            }
            "enqueue" => Call::new("proxy_enqueue_shared_queue")
                .number(queue(args)?)
                .data(self.bytes(args, 2)?)
                .run()?,
            "dequeue" => Call::new("proxy_dequeue_shared_queue")
                .number(queue(args)?)
                .data_out()
                .run()?,

            // Contexts, time, foreign functions.
            "remember" => {
                memory(|memory| memory.origin = self.context);
                Reply::ok("")
            }
            "set_effective_context" => {
                let id = match args.get(1)?.text().as_str() {
                    "origin" => u64::from(memory(|memory| memory.origin)),
                    "self" => u64::from(self.context),
                    _ => args.number(1)?,
                };
                Call::new("proxy_set_effective_context").number(id).run()?
            }
            "tick" => Call::new("proxy_set_tick_period_milliseconds")
                .number(args.number(1)?)
                .run()?,
            "done" => Call::new("proxy_done").run()?,
            "time" => Call::new("proxy_get_current_time_nanoseconds")
                .number_out()
                .run()?,
            "foreign" => Call::new("proxy_call_foreign_function")
                .data(args.bytes(1)?)
                .data(self.bytes(args, 2).unwrap_or_default())
                .data_out()
                .run()?,

            // The process, by the standard library.
            "print" => {
                println!("{}", args.get(1)?.text());
                Reply::ok("")
            }
            "eprint" => {
                eprintln!("{}", args.get(1)?.text());
                Reply::ok("")
            }
            "getenv" => match std::env::var(args.get(1)?.text()) {
                Ok(value) => Reply::ok(value),
                Err(_) => Reply::failed(1),
            },
            "environ" => {
                let all: Vec<_> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
                Reply::ok(format!("{} {}", all.len(), all.join(" ")))
            }
            "random" => {
                let buffer = vec![0u8; args.number_or(1, 8)? as usize];
                let address = black_box(&buffer).as_ptr() as u64;
                match imports::wasi::call("random_get", &[address, buffer.len() as u64]) {
                    Some(Ok(0)) => Reply::ok(hex(black_box(&buffer))),
                    Some(Ok(errno)) => Reply {
                        status: errno.to_string(),
                        ..Reply::default()
                    },
                    _ => unreachable!(),
                }
            }
            "proc_exit" => {
                log(2, "proc_exit");
                std::process::exit(args.number(1)? as i32)
            }

            // Misdeeds. Logged first: afterwards there is no chance.
            "trap" => {
                log(2, "trap");
                core::arch::wasm32::unreachable()
            }
            "panic" => panic!("{}", args.get(1).map_or("on purpose".into(), Word::text)),
            "loop" => {
                log(2, "loop");
                let mut turns = 0u64;
                loop {
                    turns = black_box(turns.wrapping_add(1));
                }
            }
            "spin" => {
                let mut turns = args.number(1)?;
                while black_box(turns) > 0 {
                    turns -= 1;
                }
                Reply::ok("")
            }
            "recurse" => {
                log(2, "recurse");
                Reply::ok(recurse(0).to_string())
            }
            "alloc" => {
                let size = usize::try_from(args.number(1)?).unwrap_or(usize::MAX);
                let mut block = Vec::new();
                match block.try_reserve_exact(size) {
                    Ok(()) => {
                        // Touched, or the host's kernel would not count it.
                        block.resize(size, 1);
                        let total = memory(|memory| {
                            memory.hoard.push(block);
                            memory.hoard.iter().map(Vec::len).sum::<usize>()
                        });
                        Reply::ok(format!("{total} bytes held"))
                    }
                    Err(_) => Reply {
                        status: "OUT_OF_MEMORY".into(),
                        ..Reply::default()
                    },
                }
            }
            "free" => {
                memory(|memory| memory.hoard.clear());
                Reply::ok("")
            }

            _ => self.raw(name, args)?,
        })
    }

    /// A host function by its own name, or a WASI one with `wasi_` before it. Words:
    ///
    /// * a number stands for itself, wherever it points;
    /// * `{key=value,key=value}` is a serialized map, address and size;
    /// * `iov:text` is an array of one WASI buffer, address and 1;
    /// * `*` is the address of an output, shown as a number;
    /// * `**` are the two addresses of an output that the host has allocated, shown as data;
    /// * anything else is text, address and size.
    fn raw(&self, name: &str, args: Args) -> Result<Reply, String> {
        let mut call = Call::new(name);
        for word in &args.0[1..] {
            let text = word.text();
            call = if let Some(number) = word.number() {
                call.number(number)
            } else if word.quoted {
                call.data(&*word.bytes)
            } else if text == "*" {
                call.number_out()
            } else if text == "**" {
                call.data_out()
            } else if let Some(text) = text.strip_prefix("iov:") {
                call.iovec(text.as_bytes().to_vec())
            } else if let Some(map) = text
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                let pairs: Vec<_> = map
                    .split(',')
                    .filter(|pair| !pair.is_empty())
                    .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                    .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
                    .collect();
                call.data(call::serialize(&pairs))
            } else {
                call.data(self.expand(&word.bytes))
            };
        }
        call.run()
    }

    fn set_action(&mut self, action: u32) -> Reply {
        self.action = action;
        Reply::ok("")
    }

    fn param(&self, name: &str) -> Option<u64> {
        self.params
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// A token, `last` for that of the latest gRPC call or stream, or `$name`.
    fn grpc_token(&self, args: Args) -> Result<u64, String> {
        match &*self.bytes(args, 1)? {
            b"last" => Ok(memory(|memory| memory.last_grpc)),
            token => std::str::from_utf8(token)
                .ok()
                .and_then(|token| token.parse().ok())
                .ok_or_else(|| "no token".to_owned()),
        }
    }

    /// A word's bytes, or the variable's that it names by `$name`.
    fn bytes(&self, args: Args, index: usize) -> Result<Vec<u8>, String> {
        let word = args.get(index)?;
        Ok(if word.quoted {
            word.bytes.clone()
        } else {
            self.expand(&word.bytes)
        })
    }

    fn expand(&self, bytes: &[u8]) -> Vec<u8> {
        bytes
            .strip_prefix(b"$")
            .and_then(|name| self.variables.get(name))
            .map_or(bytes, |value| value)
            .to_vec()
    }

    /// The words from `index` on as `key=value` pairs.
    fn pairs(&self, args: Args, index: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
        let words = args.0.get(index..).unwrap_or_default();
        words
            .iter()
            .map(|word| {
                let (key, value) =
                    script::pair(word).ok_or_else(|| format!("not key=value: {}", word.source))?;
                Ok((key, self.expand(&value)))
            })
            .collect()
    }

    fn header_call(&self, function: &str, args: Args) -> Result<Reply, String> {
        Call::new(function)
            .number(args.named(1, MAPS)?)
            .data(self.bytes(args, 2)?)
            .data(self.bytes(args, 3)?)
            .run()
    }

    /// `replace_body BUFFER FROM TO`: in all of it, by reading and writing the whole.
    fn replace_body(&self, args: Args) -> Result<Reply, String> {
        let buffer = args.named(1, BUFFERS)?;
        let (from, to) = (self.bytes(args, 2)?, self.bytes(args, 3)?);
        let reply = Call::new("proxy_get_buffer_bytes")
            .number(buffer)
            .number(0)
            .number(u64::MAX)
            .data_out()
            .run()?;
        if !reply.ok || from.is_empty() {
            return Ok(reply);
        }
        let (mut result, mut rest) = (Vec::new(), &*reply.value);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(&*from) {
                result.extend(&to);
                rest = after;
            } else {
                result.push(rest[0]);
                rest = &rest[1..];
            }
        }
        Call::new("proxy_set_buffer_bytes")
            .number(buffer)
            .number(0)
            .number(u64::MAX)
            .data(result)
            .run()
    }

    /// `local_response STATUS BODY key=value…`, with `details=…` and `grpc_status=…` set apart.
    fn local_response(&self, args: Args) -> Result<Reply, String> {
        let (mut details, mut grpc_status, mut headers) = (vec![], u64::MAX, vec![]);
        for (key, value) in self.pairs(args, 3)? {
            match &*key {
                b"details" => details = value,
                b"grpc_status" => {
                    grpc_status = String::from_utf8_lossy(&value)
                        .parse()
                        .map_err(|_| "grpc_status?")?
                }
                _ => headers.push((key, value)),
            }
        }
        let body = args.get(2).map_or(Ok(vec![]), |_| self.bytes(args, 2))?;
        Call::new("proxy_send_local_response")
            .number(args.number(1)?)
            .data(details)
            .data(body)
            .data(call::serialize(&headers))
            .number(grpc_status)
            .run()
    }

    /// `http_call UPSTREAM TIMEOUT key=value…`, with `body=…` and `trailer.KEY=…` set apart.
    /// By the SDK, which only then finds the context for the answer.
    fn http_call(&self, args: Args) -> Result<Reply, String> {
        let upstream = args.get(1)?.text();
        let (mut headers, mut trailers, mut body) = (vec![], vec![], None);
        for (key, value) in self.pairs(args, 3)? {
            let key = String::from_utf8_lossy(&key).into_owned();
            let text = String::from_utf8_lossy(&value).into_owned();
            if key == "body" {
                body = Some(value);
            } else if let Some(key) = key.strip_prefix("trailer.") {
                trailers.push((key.to_string(), text));
            } else {
                headers.push((key, text));
            }
        }
        let given = |name: &str| headers.iter().any(|(key, _)| key == name);
        let missing: Vec<_> = [
            (":method", "GET"),
            (":path", "/"),
            (":authority", &*upstream),
        ]
        .into_iter()
        .filter(|(key, _)| !given(key))
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
        headers.splice(0..0, missing);
        let result = hostcalls::dispatch_http_call(
            &upstream,
            borrowed(&headers),
            body.as_deref(),
            borrowed(&trailers),
            Duration::from_millis(args.number(2)?),
        );
        Ok(match result {
            Ok(token) => {
                memory(|memory| {
                    memory.calls.insert(u64::from(token), upstream.into_bytes());
                    if !self.is_root {
                        memory.origin = self.context;
                    }
                });
                Reply::ok(token.to_string())
            }
            Err(status) => Reply::failed(status as i32),
        })
    }

    /// `grpc_call UPSTREAM SERVICE METHOD TIMEOUT MESSAGE key=value…`, by the SDK.
    fn grpc_call(&self, args: Args) -> Result<Reply, String> {
        let metadata = self.pairs(args, 6)?;
        let result = hostcalls::dispatch_grpc_call(
            &args.get(1)?.text(),
            &args.get(2)?.text(),
            &args.get(3)?.text(),
            metadata_of(&metadata)?,
            Some(&self.bytes(args, 5)?),
            Duration::from_millis(args.number(4)?),
        );
        Ok(remember_grpc(result))
    }

    /// `grpc_stream UPSTREAM SERVICE METHOD key=value…`, by the SDK.
    fn grpc_stream(&self, args: Args) -> Result<Reply, String> {
        let metadata = self.pairs(args, 4)?;
        let result = hostcalls::open_grpc_stream(
            &args.get(1)?.text(),
            &args.get(2)?.text(),
            &args.get(3)?.text(),
            metadata_of(&metadata)?,
        );
        Ok(remember_grpc(result))
    }
}

/// A command's words, its name being the first.
#[derive(Clone, Copy)]
struct Args<'a>(&'a [Word]);

impl<'a> Args<'a> {
    fn name(&self) -> Result<String, String> {
        Ok(self.0.first().ok_or("no command")?.text())
    }

    fn get(&self, index: usize) -> Result<&'a Word, String> {
        self.0
            .get(index)
            .ok_or_else(|| format!("{} wants a word {index}", self.0[0].text()))
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, String> {
        Ok(self.get(index)?.bytes.clone())
    }

    fn number(&self, index: usize) -> Result<u64, String> {
        let word = self.get(index)?;
        word.number()
            .ok_or_else(|| format!("not a number: {}", word.source))
    }

    fn number_or(&self, index: usize, default: u64) -> Result<u64, String> {
        if index < self.0.len() {
            self.number(index)
        } else {
            Ok(default)
        }
    }

    fn bool(&self, index: usize) -> Result<bool, String> {
        match &*self.get(index)?.bytes {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(format!("not true or false: {}", self.0[index].source)),
        }
    }

    /// A number, or one of these names for 0, 1, 2 …
    fn named(&self, index: usize, names: &[&str]) -> Result<u64, String> {
        let word = self.get(index)?;
        match names.iter().position(|name| name.as_bytes() == word.bytes) {
            Some(number) => Ok(number as u64),
            None => self
                .number(index)
                .map_err(|_| format!("none of {}: {}", names.join(", "), word.source)),
        }
    }
}

fn count_run(line: &Line) -> u64 {
    line.runs.set(line.runs.get() + 1);
    line.runs.get()
}

fn header(map: u64, key: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
    let reply = Call::new("proxy_get_header_map_value")
        .number(map)
        .data(key)
        .data_out()
        .run()?;
    Ok(reply.ok.then_some(reply.value))
}

/// `a.b.c`: its parts, joined by NUL.
fn property_path(word: &Word) -> Vec<u8> {
    word.bytes
        .iter()
        .map(|&byte| if byte == b'.' { 0 } else { byte })
        .collect()
}

/// The metric that word 1 names: a number, or what `define_metric` learnt.
fn metric(args: Args) -> Result<u64, String> {
    let known = memory(|memory| memory.metrics.get(&args.get(1).ok()?.bytes).copied());
    known.map_or_else(|| args.number(1), Ok)
}

fn queue(args: Args) -> Result<u64, String> {
    let known = memory(|memory| memory.queues.get(&args.get(1).ok()?.bytes).copied());
    known.map_or_else(|| args.number(1), Ok)
}

fn remember_queue(name: Vec<u8>, reply: Reply) -> Reply {
    if let Some(&token) = reply.numbers.first() {
        memory(|memory| memory.queues.insert(name, token));
    }
    reply
}

fn remember_grpc(result: Result<u32, proxy_wasm::types::Status>) -> Reply {
    match result {
        Ok(token) => {
            memory(|memory| memory.last_grpc = u64::from(token));
            Reply::ok(token.to_string())
        }
        Err(status) => Reply::failed(status as i32),
    }
}

fn metadata_of(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<(&str, &[u8])>, String> {
    pairs
        .iter()
        .map(|(key, value)| {
            Ok((
                std::str::from_utf8(key).map_err(|_| "a key is not UTF-8")?,
                &**value,
            ))
        })
        .collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + 1
}
