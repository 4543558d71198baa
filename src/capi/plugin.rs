//! Plugins and their root contexts.

use std::cell::Cell;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use libc::{c_char, c_void};
use once_cell::unsync::OnceCell;

use super::error;
use super::foreign;
use super::handle::{bytes, rpw_str, wall};
use crate::abi::limits::{
    MAX_COMPILED_AT_ONCE, MAX_GUEST_STACK, MAX_SHARED_KEY, MIN_CPU_LIMIT_MS, MIN_GUEST_STACK,
};
use crate::abi::property::Encoding;
use crate::callout::Upstreams;
use crate::context::Ids;
use crate::host::dict::DictStore;
use crate::host::memory::MemoryHost;
use crate::host::nginx::NginxHost;
use crate::host::symbols::is_in_nginx;
use crate::host::{Host, hosts};
use crate::plugin::registry::{self, Shared};
use crate::plugin::{Capabilities, How, Options, Plugin, Policy, Stack, takes_long};

/// A loaded plugin.
pub struct rpw_plugin {
    plugin: Shared,
}

/// A root context: a plugin with a configuration.
pub struct rpw_root {
    pub(super) plugin: Shared,
    pub(super) id: u32,
}

/// Properties reach the guest as text.
pub const RPW_TEXT_PROPERTIES: i32 = 1;
/// Ids of contexts are given again, as wasm-nginx-module does.
pub const RPW_REUSE_IDS: i32 = 2;
/// A paused request also goes on after its last callout.
pub const RPW_RESUME_AFTER_CALLOUTS: i32 = 4;
/// Callbacks run in subrequests, too.
pub const RPW_SUBREQUESTS: i32 = 8;
/// `proxy_on_request_body` is not called.
pub const RPW_NO_REQUEST_BODY: i32 = 16;
/// `proxy_on_response_body` is not called.
pub const RPW_NO_RESPONSE_BODY: i32 = 32;
/// Headers that are not UTF-8 are kept from the plugin.
pub const RPW_ONLY_TEXT_HEADERS: i32 = 64;
/// Ticks run in the first worker only.
pub const RPW_TICKS_IN_ONE: i32 = 1024;
/// A worker loads a module with more bytes than this by `rpw_plugin_load_later`,
/// and one that takes long by `rpw_takes_long`.
pub const RPW_LARGE_MODULE: i32 = 524288;
const _: () = assert!(RPW_LARGE_MODULE == MAX_COMPILED_AT_ONCE);
/// Bytes of stack that an option can give a guest, from the least to the most.
pub const RPW_MIN_STACK: i32 = 65536;
pub const RPW_MAX_STACK: i32 = 4194304;
const _: () = assert!(RPW_MIN_STACK as usize == MIN_GUEST_STACK);
const _: () = assert!(RPW_MAX_STACK as usize == MAX_GUEST_STACK);
/// Bytes of a key of shared data, whatever the options say.
pub const RPW_MAX_SHARED_KEY: i32 = 32768;
const _: () = assert!(RPW_MAX_SHARED_KEY as usize == MAX_SHARED_KEY);

/// Requests that the plugin fails go on without it.
pub const RPW_FAIL_OPEN: i32 = 64;

/// What the operator says of a plugin.
#[repr(C)]
pub struct rpw_options {
    /// `RPW_TEXT_PROPERTIES` and others, added up.
    pub flags: i32,
    /// Milliseconds; 0: the default.
    pub pause_timeout: i32,
    /// Bytes of a response body that a Pause holds back; 0: the default.
    pub max_held_body: i32,
    /// Bytes of a request body that the plugin is given; 0: the default.
    pub max_request_body: i32,
    /// Bytes of a body that the plugin writes; 0: the default.
    pub max_written_body: i32,
    /// Bytes that the plugin writes into a request beside its bodies; 0: the
    /// default.
    pub max_written_headers: i32,
    /// Callouts in flight; 0: the default.
    pub max_callouts: i32,
    /// Bytes that callouts in flight hold; 0: the default.
    pub max_callout_bytes: i32,
    /// Bytes of the answer of a callout; 0: the default.
    pub max_callout_response: i32,
    /// Http contexts alive; 0: the default.
    pub max_contexts: i32,
    /// Lines of the log within a second; 0: the default.
    pub max_log_lines: i32,
    /// Elements of all tables; 0: the default.
    pub max_table_elements: i32,
    /// Bytes of a key of shared data; 0: the default.
    pub max_shared_key: i32,
    /// Bytes of a value of shared data; 0: the default.
    pub max_shared_value: i32,
    /// Bytes that shared data, queues and metrics take together; 0: the default.
    pub max_shared_bytes: i32,
    /// Milliseconds of CPU time for a callback; 0: the default.
    pub cpu_limit: i32,
    /// The same for the start of an instance or a root context; 0: the default.
    pub start_cpu_limit: i32,
    /// Pages of linear memory, of 64 KiB; 0: the default.
    pub memory_pages: i32,
    /// Bytes of stack; 0: the default.
    pub stack_limit: i32,
    /// Bytes of memory that compiling it may take; 0: the default.
    pub max_compile_memory: i32,
    /// Milliseconds of CPU time that compiling it may take; 0: the default.
    pub max_compile_time: i32,
    /// `plugin_root_id`.
    pub root_id: rpw_str,
    /// Plugins of one VM id share data and queues; NULL: the plugin's own.
    pub vm_id: rpw_str,
    pub vm_configuration: rpw_str,
    /// Environment variables: `NAME=value` and a NUL each.
    pub env: rpw_str,
    /// Names of what it may import and export, on a line each; NULL: all.
    pub capabilities: rpw_str,
    /// Names of upstreams, and for each a serialized map of its fields, as a
    /// serialized map (spec: "Serialization"): `address` once or more, `tls`,
    /// `verify`, `sni`, and as PEM `ca`, `cert`, `key`.
    pub upstreams: rpw_str,
    /// Patterns of the other addresses that it may call, one a line.
    pub callouts: rpw_str,
    /// The folder for compiled code, an absolute path; NULL: none.
    pub cache_directory: rpw_str,
}

thread_local! {
    static HOST: OnceCell<Rc<dyn Host>> = const { OnceCell::new() };
    static MADE: Cell<Option<rpw_root>> = const { Cell::new(None) };
}

/// The nginx that this process is; outside nginx, memory.
///
/// Errors: an nginx that is too old.
fn host() -> Result<Rc<dyn Host>, String> {
    HOST.with(|host| {
        host.get_or_try_init(|| -> Result<Rc<dyn Host>, String> {
            match NginxHost::load() {
                Ok(nginx) => Ok(Rc::new(nginx)),
                Err(missing) if is_in_nginx() => Err(format!(
                    "this nginx has no {missing}: lua-nginx-module 0.10.23 or newer is needed"
                )),
                Err(_) => Ok(Rc::new(MemoryHost::new())),
            }
        })
        .cloned()
    })
}

/// # Safety
///
/// The strings of `options` must be readable.
unsafe fn read_options(options: &rpw_options) -> Result<Options, String> {
    let has = |flag| options.flags & flag != 0;
    // SAFETY: readable, as promised.
    let (root_id, vm_configuration, upstreams, callouts) = unsafe {
        (
            options.root_id.bytes().to_vec(),
            options.vm_configuration.bytes().to_vec(),
            options.upstreams.bytes(),
            options.callouts.bytes(),
        )
    };
    // SAFETY: readable, as promised.
    let (env, names) = unsafe { (options.env.bytes(), options.capabilities.bytes()) };
    let capabilities = match options.capabilities.data.is_null() {
        true => Capabilities::default(),
        false => Capabilities::only(names.split(|byte| *byte == b'\n').map(Into::into).collect())?,
    };
    // SAFETY: readable, as promised.
    let vm_id = unsafe { options.vm_id.bytes() };
    // SAFETY: readable, as promised.
    let directory = unsafe { options.cache_directory.bytes() };
    let mut read = Options {
        root_id,
        vm_id: (!options.vm_id.data.is_null()).then(|| vm_id.to_vec()),
        vm_configuration,
        environment: env
            .split_inclusive(|byte| *byte == b'\0')
            .map(Into::into)
            .collect(),
        capabilities,
        upstreams: Rc::new(Upstreams::read(upstreams, callouts)?),
        resume_after_callouts: has(RPW_RESUME_AFTER_CALLOUTS),
        subrequests: has(RPW_SUBREQUESTS),
        only_text_headers: has(RPW_ONLY_TEXT_HEADERS),
        request_body: !has(RPW_NO_REQUEST_BODY),
        response_body: !has(RPW_NO_RESPONSE_BODY),
        ticks_in_one: has(RPW_TICKS_IN_ONE),
        code: How {
            directory: (!directory.is_empty()).then(|| OsStr::from_bytes(directory).into()),
            stack: match usize::try_from(options.stack_limit) {
                Ok(bytes @ 1..) => Stack::of(bytes),
                _ => Stack::default(),
            },
            ..How::default()
        },
        ..Options::default()
    };
    if has(RPW_TEXT_PROPERTIES) {
        read.encoding = Encoding::Text;
    }
    if has(RPW_FAIL_OPEN) {
        read.policy = Policy::Open;
    }
    if has(RPW_REUSE_IDS) {
        read.ids = Ids::Reused;
    }
    if let Ok(timeout @ 1..) = u32::try_from(options.pause_timeout) {
        read.pause_timeout_ms = timeout;
    }
    if let Ok(bytes @ 1..) = usize::try_from(options.max_held_body) {
        read.max_held_body = bytes;
    }
    let set = |limit: &mut u32, option: i32| {
        if let Ok(number @ 1..) = u32::try_from(option) {
            *limit = number;
        }
    };
    set(&mut read.limits.callouts, options.max_callouts);
    set(&mut read.limits.contexts, options.max_contexts);
    set(&mut read.limits.log_lines, options.max_log_lines);
    set(&mut read.limits.table_elements, options.max_table_elements);
    set(&mut read.code.compile.time_ms, options.max_compile_time);
    let set = |limit: &mut usize, option: i32| {
        if let Ok(bytes @ 1..) = usize::try_from(option) {
            *limit = bytes;
        }
    };
    let limits = &mut read.limits;
    set(&mut limits.request_body, options.max_request_body);
    set(&mut read.code.compile.memory, options.max_compile_memory);
    set(&mut limits.written_body, options.max_written_body);
    set(&mut limits.written_headers, options.max_written_headers);
    set(&mut limits.callout_bytes, options.max_callout_bytes);
    set(&mut limits.callout_response, options.max_callout_response);
    set(&mut limits.shared_key, options.max_shared_key);
    set(&mut limits.shared_value, options.max_shared_value);
    limits.shared_key = limits.shared_key.min(MAX_SHARED_KEY);
    if let Ok(bytes @ 1..) = usize::try_from(options.max_shared_bytes) {
        limits.shared_bytes = Some(bytes);
    }
    if let Ok(limit @ 1..) = u32::try_from(options.cpu_limit) {
        read.cpu_limit_ms = limit.max(MIN_CPU_LIMIT_MS);
    }
    if let Ok(limit @ 1..) = u32::try_from(options.start_cpu_limit) {
        read.start_cpu_limit_ms = limit.max(MIN_CPU_LIMIT_MS);
    }
    if let Ok(pages @ 1..) = usize::try_from(options.memory_pages) {
        read.memory_limit = pages << 16;
    }
    Ok(read)
}

/// Checks options: 0, or -1 and the error.
///
/// # Safety
///
/// The strings of `options` must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_check_options(options: *const rpw_options) -> i32 {
    wall(-1, || {
        // SAFETY: readable, as promised.
        match unsafe { read_options(&*options) } {
            Ok(_) => 0,
            Err(why) => {
                error::set(why);
                -1
            }
        }
    })
}

/// The address of a host name by the hosts file, as it was when a plugin was
/// last loaded. Writes it as text, IPv6 in brackets, without a NUL; 64 bytes
/// are enough. Gives its length, or 0 when the file does not have the name.
///
/// # Safety
///
/// The name must be readable, 64 bytes of `address` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_find_host(
    name: *const c_char,
    name_len: i32,
    address: *mut c_char,
) -> i32 {
    wall(0, || {
        // SAFETY: readable, as promised.
        let text = match hosts::find(unsafe { bytes(name, name_len) }) {
            Some(IpAddr::V4(found)) => found.to_string(),
            Some(IpAddr::V6(found)) => format!("[{found}]"),
            None => return 0,
        };
        // SAFETY: no address is longer than the 64 writable bytes.
        unsafe { text.as_ptr().copy_to(address.cast(), text.len()) };
        text.len() as i32
    })
}

/// Names the `lua_shared_dict` where shared state lies, for plugins that are
/// loaded from now on; NULL: there is none, and each worker has its own. Gives
/// 0, or -1 when `userdata` leads to no dict.
///
/// # Safety
///
/// `userdata` must be what `ngx.shared.NAME[1]` holds, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_use_dict(userdata: *mut c_void) -> i32 {
    wall(-1, || {
        let Ok(host) = host() else {
            return -1;
        };
        if userdata.is_null() {
            host.set_store(None);
            return 0;
        }
        // SAFETY: it is that value, as promised.
        let Some(store) = (unsafe { DictStore::new(userdata) }) else {
            return -1;
        };
        host.set_store(Some(Rc::new(store)));
        0
    })
}

/// Compiles a module (`.wasm` bytes) and checks that it is a plugin. Nothing
/// of it runs yet.
///
/// Gives NULL when it is none. Free it with `rpw_plugin_free`.
///
/// # Safety
///
/// The strings must be readable, `options` too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_plugin_load(
    name: *const c_char,
    name_len: i32,
    code: *const c_char,
    code_len: i32,
    options: *const rpw_options,
) -> *mut rpw_plugin {
    wall(std::ptr::null_mut(), || {
        // SAFETY: readable, as promised.
        let (name, code, options) = unsafe {
            (
                bytes(name, name_len),
                bytes(code, code_len),
                read_options(&*options),
            )
        };
        hand_over(options.and_then(|options| {
            Plugin::load(host()?, name, code, options).map_err(|error| error.to_string())
        }))
    })
}

/// 1 when `rpw_plugin_load` would compile these bytes for so long that a worker
/// is not to wait; else 0, also where it would refuse them.
///
/// # Safety
///
/// The bytes must be readable, `options` too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_takes_long(
    code: *const c_char,
    code_len: i32,
    options: *const rpw_options,
) -> i32 {
    wall(0, || {
        // SAFETY: readable, as promised.
        let (code, options) = unsafe { (bytes(code, code_len), read_options(&*options)) };
        options
            .is_ok_and(|options| takes_long(code, &options.code))
            .into()
    })
}

/// As `rpw_plugin_load`, for a large file or one that takes long: a thread reads
/// and compiles it. Until that is over, requests get the plugin's failure
/// policy, and what is wrong with the file, calls that need an instance say. Not
/// for the master process.
///
/// Gives NULL when the beginning of the file tells that it is no module. Free it
/// with `rpw_plugin_free`.
///
/// # Safety
///
/// The strings must be readable, `options` too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_plugin_load_later(
    name: *const c_char,
    name_len: i32,
    path: *const c_char,
    path_len: i32,
    options: *const rpw_options,
) -> *mut rpw_plugin {
    wall(std::ptr::null_mut(), || {
        // SAFETY: readable, as promised.
        let (name, path, options) = unsafe {
            (
                bytes(name, name_len),
                bytes(path, path_len),
                read_options(&*options),
            )
        };
        let path = Path::new(OsStr::from_bytes(path));
        hand_over(options.and_then(|options| {
            Plugin::load_later(host()?, name, path, options).map_err(|error| error.to_string())
        }))
    })
}

fn hand_over(loaded: Result<Plugin, String>) -> *mut rpw_plugin {
    match loaded {
        Ok(plugin) => {
            let plugin = registry::register(plugin);
            Box::into_raw(Box::new(rpw_plugin { plugin }))
        }
        Err(why) => {
            error::set(why);
            std::ptr::null_mut()
        }
    }
}

/// Frees a plugin. Its root contexts keep what they need.
///
/// # Safety
///
/// `plugin` must come from `rpw_plugin_load` and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_plugin_free(plugin: *mut rpw_plugin) {
    wall((), || {
        // SAFETY: ours, and used for the last time, as promised.
        drop(unsafe { Box::from_raw(plugin) });
    })
}

/// A root context of this process.
pub const RPW_ROOT_USED: i32 = 0;
/// In the master process: on an instance that is thrown away.
pub const RPW_ROOT_TRIAL: i32 = 1;
/// Right after `rpw_plugin_load_later`: where that began a thread, callbacks run
/// and errors come later, however soon the thread ends.
pub const RPW_ROOT_LATER: i32 = 2;

/// Makes a root context: `proxy_on_context_create`, `proxy_on_vm_start`,
/// `proxy_on_configure`. `kind` is one of `RPW_ROOT_USED`, `RPW_ROOT_TRIAL` and
/// `RPW_ROOT_LATER`.
///
/// Gives 0, and `rpw_root_made` the root context; or -1 when a callback fails
/// or refuses.
///
/// # Safety
///
/// `plugin` must be alive, the configuration readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_root_new(
    plugin: *const rpw_plugin,
    configuration: *const c_char,
    configuration_len: i32,
    kind: i32,
) -> i32 {
    wall(-1, || {
        // SAFETY: alive and readable, as promised.
        let (plugin, configuration) =
            unsafe { (&*plugin, bytes(configuration, configuration_len)) };
        let (shared, configuration) = (plugin.plugin.clone(), configuration.to_vec());
        let body = move |plugin: &mut Plugin| match kind {
            RPW_ROOT_LATER => plugin.add_root_later(&configuration),
            _ => plugin.add_root(&configuration, kind == RPW_ROOT_TRIAL),
        };
        foreign::call_with(&plugin.plugin, -1, body, move |added| {
            error::number(added.map(|id| {
                MADE.set(Some(rpw_root { plugin: shared, id }));
                0
            }))
        })
    })
}

/// The root context that `rpw_root_new` has made, once. Free it with
/// `rpw_root_free`.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_root_made() -> *mut rpw_root {
    wall(std::ptr::null_mut(), || {
        let made = MADE.take().map(Box::new);
        made.map_or(std::ptr::null_mut(), Box::into_raw)
    })
}

/// Request bodies must come to `rpw_request_body`.
pub const RPW_WANTS_REQUEST_BODY: i32 = 1;
/// The plugin can have a say in response bodies: every chunk must come to
/// `rpw_response_body`.
pub const RPW_WANTS_RESPONSE_BODY: i32 = 2;
/// The module is not read yet: it may want less later.
pub const RPW_WANTS_UNKNOWN: i32 = 4;

const WANTS_ALL: i32 = RPW_WANTS_REQUEST_BODY | RPW_WANTS_RESPONSE_BODY | RPW_WANTS_UNKNOWN;

/// What must be handed to a plugin: `RPW_WANTS_REQUEST_BODY` and others, added
/// up.
///
/// # Safety
///
/// `root` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_wants(root: *const rpw_root) -> i32 {
    wall(WANTS_ALL, || {
        // SAFETY: alive, as promised.
        let Ok(mut plugin) = unsafe { &*root }.plugin.try_borrow_mut() else {
            return WANTS_ALL;
        };
        // What is wrong with it, its callbacks say.
        let _ = plugin.check_code();
        let bit = |set: bool, bit: i32| if set { bit } else { 0 };
        bit(plugin.wants().request_body, RPW_WANTS_REQUEST_BODY)
            | bit(plugin.wants().bodies, RPW_WANTS_RESPONSE_BODY)
            | bit(plugin.is_unknown(), RPW_WANTS_UNKNOWN)
    })
}

/// Frees a root context: `proxy_on_done` and `proxy_on_delete`, now or after
/// the last request that has a context under it.
///
/// # Safety
///
/// `root` must come from `rpw_root_new` and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_root_free(root: *mut rpw_root) {
    wall((), || {
        // SAFETY: ours, and used for the last time, as promised.
        let root = unsafe { Box::from_raw(root) };
        registry::close(root.plugin, root.id);
    })
}

/// Makes the instance of a root context's plugin now, not with its first
/// request: its ticks and queues begin. Gives 0, or -1 when it cannot be made.
///
/// # Safety
///
/// `root` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_start(root: *const rpw_root) -> i32 {
    wall(-1, || {
        // SAFETY: alive, as promised.
        let plugin = &unsafe { &*root }.plugin;
        let body = |plugin: &mut Plugin| plugin.start_now().map(|()| 0);
        foreign::call_with(plugin, -1, body, error::number)
    })
}
