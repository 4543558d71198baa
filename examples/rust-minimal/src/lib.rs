//! The smallest plugin that is one: it adds the response header that its configuration names.

use std::rc::Rc;

use log::{error, info};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    // What is below this level the SDK does not even hand over.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { header: Rc::default() }));
}}

/// The plugin: one for each entry of a chain and worker.
struct Root {
    header: Rc<(String, String)>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Reads the field `config` of the chain's entry: here `name: value`.
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let Some((name, value)) = text.split_once(':') else {
            error!("the configuration must be \"name: value\", not \"{text}\"");
            return false; // nginx does not start, where new_chain is in init_by_lua
        };
        info!("every response gets {name}");
        self.header = Rc::new((name.trim().to_string(), value.trim().to_string()));
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let header = Rc::clone(&self.header);
        Some(Box::new(Request { header }))
    }
}

/// One request.
struct Request {
    header: Rc<(String, String)>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let (name, value) = &*self.header;
        self.set_http_response_header(name, Some(value));
        Action::Continue
    }
}
