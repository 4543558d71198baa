//! The work of an ordinary plugin, chosen by the configuration:
//! `nothing`, `headers` (read one request header, add one response header), `all` (read all
//! request headers), `body` (look at each chunk of the response body) or `callout` (ask the
//! upstream `auth` before the request goes on).

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { work: Work::Nothing }));
}}

#[derive(Clone, Copy)]
enum Work {
    Nothing,
    Headers,
    All,
    Body,
    Callout,
}

struct Root {
    work: Work,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.work = match self.get_plugin_configuration().as_deref() {
            None | Some(b"nothing") => Work::Nothing,
            Some(b"headers") => Work::Headers,
            Some(b"all") => Work::All,
            Some(b"body") => Work::Body,
            Some(b"callout") => Work::Callout,
            Some(_) => return false,
        };
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http {
            work: self.work,
            seen: None,
            count: 0,
        }))
    }
}

struct Http {
    work: Work,
    seen: Option<String>,
    /// Headers or body bytes, so that reading them is not for nothing.
    count: usize,
}

impl Context for Http {
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, _body: usize, _trailers: usize) {
        self.seen = self.get_http_call_response_header(":status");
        self.resume_http_request();
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match self.work {
            Work::Headers => self.seen = self.get_http_request_header("x-in"),
            Work::All => self.count = self.get_http_request_headers_bytes().len(),
            Work::Callout => {
                let headers = vec![(":method", "GET"), (":path", "/check"), (":authority", "auth")];
                self.dispatch_http_call("auth", headers, None, vec![], Duration::from_secs(5))
                    .expect("a callout");
                return Action::Pause;
            }
            Work::Nothing | Work::Body => {}
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Work::Headers = self.work {
            self.add_http_response_header("x-out", self.seen.as_deref().unwrap_or("none"));
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        if let Work::Body = self.work {
            self.count += self
                .get_http_response_body(0, size)
                .map_or(0, |chunk| chunk.len());
        }
        Action::Continue
    }
}
