//! What the host calls in the guest: the mirror of THE TABLE.
#![forbid(unsafe_code)]

use crate::vm::{Callback, Instance};

/// A header callback: ABI 0.1.0 modules take two parameters or three, so the
/// export's own type decides.
pub enum HeadersCallback {
    Two(Callback<(u32, u32), u32>),
    Three(Callback<(u32, u32, u32), u32>),
}

macro_rules! callbacks {
    ($($name:ident($($param:ident: $ty:ty),*) -> $ret:ty;)*) => {
        /// The callbacks that a guest exports. One that is missing, or has
        /// another type, is never called: its default is to continue.
        #[derive(Default)]
        pub struct Callbacks {
            $(pub $name: Option<Callback<($($ty,)*), $ret>>,)*
            pub proxy_on_request_headers: Option<HeadersCallback>,
            pub proxy_on_response_headers: Option<HeadersCallback>,
        }

        /// All their names.
        pub const NAMES: &[&str] = &[
            $(stringify!($name),)*
            "proxy_on_request_headers",
            "proxy_on_response_headers",
        ];

        impl Callbacks {
            /// Those of a name that is `allowed`; others are as if missing.
            pub fn find<S: 'static>(
                instance: &mut Instance<S>,
                allowed: impl Fn(&str) -> bool,
            ) -> Self {
                let mut found = Callbacks {
                    $($name: instance.callback(stringify!($name)),)*
                    proxy_on_request_headers: headers(instance, "proxy_on_request_headers"),
                    proxy_on_response_headers: headers(instance, "proxy_on_response_headers"),
                };
                $(if !allowed(stringify!($name)) {
                    found.$name = None;
                })*
                // The AssemblyScript SDK and the C++ SDK's headers have it so.
                const MISNAMED: &str = "proxy_on_grpc_trailing_metadata";
                let trailing = &mut found.proxy_on_grpc_receive_trailing_metadata;
                if trailing.is_none() && allowed(MISNAMED) {
                    *trailing = instance.callback(MISNAMED);
                }
                if !allowed("proxy_on_request_headers") {
                    found.proxy_on_request_headers = None;
                }
                if !allowed("proxy_on_response_headers") {
                    found.proxy_on_response_headers = None;
                }
                found
            }
        }
    };
}

impl Callbacks {
    /// It exports nothing about the end of a context.
    pub fn hears_no_end(&self) -> bool {
        self.proxy_on_done.is_none()
            && self.proxy_on_log.is_none()
            && self.proxy_on_delete.is_none()
    }
}

callbacks! {
    proxy_on_context_create(context: u32, parent: u32) -> ();
    proxy_on_vm_start(root: u32, configuration_size: u32) -> u32;
    proxy_validate_configuration(root: u32, configuration_size: u32) -> u32;
    proxy_on_configure(root: u32, configuration_size: u32) -> u32;
    proxy_on_request_body(context: u32, size: u32, end_of_stream: u32) -> u32;
    proxy_on_response_body(context: u32, size: u32, end_of_stream: u32) -> u32;
    proxy_on_response_trailers(context: u32, trailers: u32) -> u32;
    proxy_on_http_call_response(root: u32, token: u32, headers: u32, size: u32, trailers: u32) -> ();
    proxy_on_grpc_receive_initial_metadata(root: u32, token: u32, headers: u32) -> ();
    proxy_on_grpc_receive(root: u32, token: u32, size: u32) -> ();
    proxy_on_grpc_receive_trailing_metadata(root: u32, token: u32, headers: u32) -> ();
    proxy_on_grpc_close(root: u32, token: u32, status: u32) -> ();
    proxy_on_tick(root: u32) -> ();
    proxy_on_queue_ready(root: u32, token: u32) -> ();
    proxy_on_foreign_function(root: u32, function: u32, size: u32) -> ();
    proxy_on_done(context: u32) -> u32;
    proxy_on_log(context: u32) -> ();
    proxy_on_delete(context: u32) -> ();
}

fn headers<S: 'static>(instance: &mut Instance<S>, name: &str) -> Option<HeadersCallback> {
    if let Some(callback) = instance.callback(name) {
        return Some(HeadersCallback::Three(callback));
    }
    instance.callback(name).map(HeadersCallback::Two)
}
