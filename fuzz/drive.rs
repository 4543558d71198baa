//! What several targets need: a plugin that is driven through everything that
//! can happen to it, on the in-memory host.

use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::abi::HeaderList;
use resty_proxy_wasm::callout::Response;
use resty_proxy_wasm::context::Effect;
use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::{Phase, Request};
use resty_proxy_wasm::plugin::{Options, Plugin};

pub fn request() -> MemoryRequest {
    MemoryRequest {
        uri: b"/path?query".into(),
        headers: vec![
            (b"host".into(), b"localhost".into()),
            (b"x-one".into(), b"1".into()),
            (b"content-length".into(), b"4".into()),
        ],
        response_status: 200,
        response_headers: vec![(b"x-two".into(), b"2".into())],
        response_chunk: (b"chunk".into(), true),
        variables: [(b"var".to_vec(), b"value".to_vec())].into(),
        ..MemoryRequest::default()
    }
}

/// Limits that a fuzzer reaches in no time.
pub fn options(flags: u8) -> Options {
    let mut options = Options {
        vm_id: (flags & 1 != 0).then(|| b"vm".to_vec()),
        resume_after_callouts: flags & 2 != 0,
        cpu_limit_ms: 20,
        start_cpu_limit_ms: 40,
        memory_limit: 16 << 20,
        max_held_body: 1000,
        ..Options::default()
    };
    options.limits.written_body = 2000;
    options.limits.callouts = 3;
    options.limits.log_lines = 20;
    options
}

fn list(name: &[u8], value: &[u8]) -> HeaderList {
    let mut list = HeaderList::new();
    list.push(name, value);
    list
}

/// Does what Lua would do, and delivers the answers of callouts.
fn perform(plugin: &mut Plugin, root: u32, request: Request, answers: u8) {
    while plugin.next_effect(root, request).is_some() {}
    // A callback may ask for more.
    for _ in 0..8 {
        let Some(effect) = plugin.next_shared_effect() else {
            break;
        };
        if let Effect::HttpCall { token } = effect {
            let exchange = plugin.begin_callout(token);
            let response = match answers & 1 {
                0 => Response::default(),
                _ => Response {
                    headers: list(b":status", b"200"),
                    body: b"body".into(),
                    trailers: list(b"t", b"1"),
                },
            };
            // Some are never answered.
            if exchange.is_some() && answers & 2 == 0 {
                let _ = plugin.deliver(token, response);
            }
        }
    }
}

/// Two requests, one inside the other, through all phases; an error of any of
/// them is as good as success.
pub fn drive(host: &Rc<MemoryHost>, plugin: &mut Plugin, configuration: &[u8], flags: u8) {
    let Ok(root) = plugin.add_root(configuration, false) else {
        return;
    };
    let outer = host.add_request(request());
    let _ = plugin.request_headers(root, outer);
    perform(plugin, root, outer, flags >> 2);

    let inner = host.add_request(request());
    for request in [inner, outer] {
        let phase = |phase| host.with(request, |found| found.phase = phase);
        let _ = plugin.request_headers(root, request);
        perform(plugin, root, request, flags >> 2);
        let _ = plugin.request_body(root, request, b"body", flags & 32 == 0);
        perform(plugin, root, request, flags >> 3);
        let _ = plugin.run_timers(Instant::now() + Duration::from_secs(3600));
        let _ = plugin.pause_expired(root, request);
        let _ = plugin.on_foreign_function(root, 1, b"data");

        phase(Phase::HeaderFilter);
        if plugin
            .response_headers(root, request)
            .is_ok_and(|flags| flags.response_headers)
        {
            let mut headers = HeaderList::new();
            headers.push(b"x-two", b"2");
            let _ = plugin.hand_response_headers(root, request, headers);
            let _ = plugin.response_headers(root, request);
        }
        perform(plugin, root, request, flags >> 4);
        phase(Phase::BodyFilter);
        let _ = plugin.response_body(root, request);
        perform(plugin, root, request, flags >> 5);
        phase(Phase::Log);
        host.end_request(request);
        if flags & 64 == 0 {
            let _ = plugin.log_request(root, request);
        }
    }
    let mut swept = plugin.sweep();
    while swept.more {
        swept = plugin.sweep();
    }
    assert_eq!(swept.alive, 0, "a context outlives its request");
    plugin.close_root(root);
    let _ = plugin.run_timers(Instant::now() + Duration::from_secs(7200));
}
