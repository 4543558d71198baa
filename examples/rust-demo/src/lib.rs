//! A Proxy-Wasm plugin to start from.
//!
//! * Every response gets the header `x-proxy-wasm: hello from Rust`.
//! * `/blocked` is answered by the plugin itself, with 403.
//! * `/callout` asks the upstream "auth" first: the request goes on, with the user's name in
//!   `x-auth-user`, only if that answers 200.

use std::time::Duration;

use log::{info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

// Runs once, when the plugin is loaded.
proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_context_id| Box::new(Plugin));
}}

/// The plugin itself: it lives as long as nginx's worker and makes a `Request` for each request.
struct Plugin;

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        info!(
            "configured with '{}'",
            String::from_utf8_lossy(&configuration)
        );
        true // false would refuse the configuration
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }
}

/// One request and its response.
struct Request;

impl Request {
    /// A request header, empty if there is none. Clients may send bytes that are no text: the
    /// SDK's `get_http_request_header` would panic, and take the plugin down for all requests.
    fn request_header(&self, name: &str) -> String {
        let bytes = self.get_http_request_header_bytes(name).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ask_auth_service(&self) -> Action {
        let credentials = self.request_header("authorization");
        let headers = vec![
            (":method", "GET"),
            (":path", "/check"),
            (":authority", "auth"),
            ("authorization", &credentials),
        ];
        match self.dispatch_http_call("auth", headers, None, vec![], Duration::from_secs(2)) {
            // The answer comes to `on_http_call_response`, which lets the request go on.
            Ok(_token) => Action::Pause,
            Err(status) => {
                warn!("cannot call the auth service: {status:?}");
                self.send_http_response(503, vec![], Some(b"no auth service\n"));
                Action::Pause
            }
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let path = self.request_header(":path");
        match path.split('?').next() {
            Some("/blocked") => {
                info!("blocked {path}");
                let headers = vec![("x-blocked-by", "rust-demo")];
                self.send_http_response(403, headers, Some(b"blocked by a plugin\n"));
                Action::Pause
            }
            Some("/callout") => self.ask_auth_service(),
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("x-proxy-wasm", Some("hello from Rust"));
        Action::Continue
    }
}

impl Context for Request {
    fn on_http_call_response(
        &mut self,
        _token: u32,
        headers: usize,
        _body: usize,
        _trailers: usize,
    ) {
        // An answer without headers is none: refused, timed out, broken.
        if headers == 0 {
            warn!("the auth service does not answer");
            self.send_http_response(503, vec![], Some(b"no auth service\n"));
            return;
        }
        let status = self.get_http_call_response_header(":status");
        if status.as_deref() != Some("200") {
            self.send_http_response(401, vec![], Some(b"who are you?\n"));
            return;
        }
        let user = self.get_http_call_response_header("x-auth-user");
        self.set_http_request_header("x-auth-user", Some(user.as_deref().unwrap_or("unknown")));
        self.resume_http_request();
    }
}
