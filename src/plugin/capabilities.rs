//! What a plugin is allowed to import, and what of it is called: the
//! operator's list of names, as Envoy's `allowed_capabilities`.

use crate::callbacks;
use crate::hostcalls::{TABLE, wasi};

/// Exports that lists made for Envoy may have. They are not called, or always:
/// a plugin without them is none.
const OTHERS: [&str; 25] = [
    "_initialize",
    "_start",
    "main",
    "__main_void",
    "malloc",
    "proxy_on_memory_allocate",
    "proxy_abi_version_0_1_0",
    "proxy_abi_version_0_2_0",
    "proxy_abi_version_0_2_1",
    "proxy_on_request_trailers",
    "proxy_on_request_metadata",
    "proxy_on_response_trailers",
    "proxy_on_response_metadata",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_upstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_connection_close",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_trailing_metadata",
    "proxy_on_grpc_close",
    "envoy_on_resolve_dns",
    "envoy_on_stats_update",
];

/// The names that are allowed.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// `None`: all.
    names: Option<Vec<Vec<u8>>>,
}

impl Capabilities {
    /// Allows these host functions, callbacks and functions of WASI, and no
    /// others.
    ///
    /// Errors: the first name that is none of them.
    pub fn only(names: Vec<Vec<u8>>) -> Result<Self, String> {
        match names.iter().find(|name| !is_known(name)) {
            Some(unknown) => Err(format!(
                "option \"capabilities\": \"{}\" is unknown: there is no such host function, \
                 callback or WASI function",
                unknown.escape_ascii()
            )),
            None => Ok(Capabilities { names: Some(names) }),
        }
    }

    pub fn allow(&self, name: &str) -> bool {
        let names = self.names.as_ref();
        names.is_none_or(|names| names.iter().any(|known| known == name.as_bytes()))
    }
}

fn is_known(name: &[u8]) -> bool {
    let mut known = TABLE
        .iter()
        .flat_map(|row| std::iter::once(&row.name).chain(row.aliases))
        .chain(callbacks::NAMES)
        .chain(wasi::NAMES)
        .chain(&OTHERS);
    known.any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Result<Capabilities, String> {
        Capabilities::only(names.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    #[test]
    fn every_kind_of_name_is_known_and_no_other() {
        for name in [
            "proxy_log",
            "proxy_dispatch_http_call",
            "proxy_grpc_call",
            "proxy_on_request_headers",
            "proxy_on_vm_start",
            "fd_write",
            "proc_exit",
            "malloc",
        ] {
            let capabilities = only(&[name]).expect(name);
            assert!(capabilities.allow(name));
            assert!(!capabilities.allow("proxy_send_local_response"));
        }
        for name in ["", "proxy_lo", "proxy_log ", "env.proxy_log", "abort"] {
            let why = only(&["proxy_log", name]).expect_err(name);
            let start = format!("option \"capabilities\": \"{name}\" is unknown");
            assert!(why.starts_with(&start), "{why}");
        }
        assert!(Capabilities::default().allow("anything"));
    }
}
