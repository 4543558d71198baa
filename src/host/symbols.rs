//! The functions of nginx and lua-nginx-module that the library calls: one
//! table. They are found in the running process, once, and never linked:
//! a cdylib with an undefined symbol does not load (`-z now`).
//!
//! The signatures hold from lua-nginx-module 0.10.23 on. A row without a
//! version note has had the same one in every release up to 0.10.32.

use std::ffi::{CStr, c_char, c_double, c_int, c_long, c_uchar, c_void};

/// A request of nginx, never looked into: its layout depends on how nginx was
/// built.
#[repr(C)]
pub struct NgxRequest {
    _opaque: [u8; 0],
}

/// A shared memory zone of nginx, never looked into.
#[repr(C)]
pub struct NgxZone {
    _opaque: [u8; 0],
}

/// A string that nginx owns. `data` may be null when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LuaStr {
    pub len: c_int,
    pub data: *const c_uchar,
}

impl LuaStr {
    pub const EMPTY: LuaStr = LuaStr {
        len: 0,
        data: std::ptr::null(),
    };
}

/// One header as lua-nginx-module lists it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LuaHeader {
    pub name: LuaStr,
    pub value: LuaStr,
}

impl LuaHeader {
    pub const EMPTY: LuaHeader = LuaHeader {
        name: LuaStr::EMPTY,
        value: LuaStr::EMPTY,
    };
}

/// `ngx_http_cleanup_t`, the same in every nginx since 0.7.
#[repr(C)]
pub struct Cleanup {
    pub handler: Option<CleanupHandler>,
    pub data: *mut c_void,
    pub next: *mut Cleanup,
}

/// `ngx_http_cleanup_add`.
pub type CleanupAdd = unsafe extern "C" fn(*mut NgxRequest, usize) -> *mut Cleanup;

/// What nginx calls when a request ends.
pub type CleanupHandler = extern "C" fn(data: *mut c_void);

/// Makes [`Symbols`] and its loader from the table. A required row is a
/// function, an optional one an `Option` of it.
macro_rules! symbols {
    (
        required {
            $($(#[$doc:meta])* $name:ident: $symbol:literal, ($($arg:ty),*) -> $ret:ty;)*
        }
        optional {
            $($(#[$odoc:meta])* $oname:ident: $osymbol:literal, ($($oarg:ty),*) -> $oret:ty;)*
        }
    ) => {
        /// The table's functions, as found in this process.
        pub struct Symbols {
            $($(#[$doc])* pub $name: unsafe extern "C" fn($($arg),*) -> $ret,)*
            $($(#[$odoc])* pub $oname: Option<unsafe extern "C" fn($($oarg),*) -> $oret>,)*
        }

        impl Symbols {
            /// Finds every function of the table, or answers with the name of
            /// the first required one that this process does not have: it is
            /// no nginx with lua-nginx-module, or one that is too old.
            pub fn load() -> Result<Symbols, &'static str> {
                Ok(Symbols {
                    $($name: {
                        let address = find($symbol).ok_or(name($symbol))?;
                        // SAFETY: the symbol is a C function of this type, by
                        // its row in the table.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($arg),*) -> $ret,
                            >(address)
                        }
                    },)*
                    $($oname: find($osymbol).map(|address| {
                        // SAFETY: as above.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($oarg),*) -> $oret,
                            >(address)
                        }
                    }),)*
                })
            }
        }
    };
}

symbols! {
    required {
        // -- logging -------------------------------------------------------

        /// (request or null, level, line, length). Null writes to the log of
        /// the process. nginx itself drops what is above the log's level.
        raw_log: c"ngx_http_lua_ffi_raw_log",
            (*mut NgxRequest, c_int, *const c_uchar, usize) -> c_int;

        /// Seconds since 1970, as nginx has them cached.
        time: c"ngx_http_lua_ffi_time", () -> c_long;

        // -- the request's life --------------------------------------------

        /// (request, error message). -1 when no Lua ran for the request yet.
        get_phase: c"ngx_http_lua_ffi_get_phase", (*mut NgxRequest, *mut *mut c_char) -> c_int;
        is_subrequest: c"ngx_http_lua_ffi_is_subrequest", (*mut NgxRequest) -> c_int;
        /// (request, bytes of data). Always adds to the main request; null
        /// without memory.
        cleanup_add: c"ngx_http_cleanup_add", (*mut NgxRequest, usize) -> *mut Cleanup;

        /// (request). Seconds, with milliseconds behind the point.

        /// -1 in a process that is no worker, such as the master.
        worker_id: c"ngx_http_lua_ffi_worker_id", () -> c_int;

        // -- request headers -----------------------------------------------

        /// (request, most or 0 for all, truncated).
        req_get_headers_count: c"ngx_http_lua_ffi_req_get_headers_count",
            (*mut NgxRequest, c_int, *mut c_int) -> c_int;
        /// (request, out, count, names as received instead of lower-cased).
        req_get_headers: c"ngx_http_lua_ffi_req_get_headers",
            (*mut NgxRequest, *mut LuaHeader, c_int, c_int) -> c_int;
        /// (request, name, length, value or null to remove, length, values,
        /// count, replace, error message). New in 0.10.16.
        req_set_header: c"ngx_http_lua_ffi_req_set_header",
            (*mut NgxRequest, *const c_uchar, usize, *const c_uchar, usize,
             *mut LuaStr, usize, c_int, *mut *mut c_char) -> c_int;
        /// (request). A bit of ngx_http_request.h.
        req_get_method: c"ngx_http_lua_ffi_req_get_method", (*mut NgxRequest) -> c_int;
        req_set_method: c"ngx_http_lua_ffi_req_set_method", (*mut NgxRequest, c_int) -> c_int;

        // -- response headers ----------------------------------------------

        /// (request, name, length, room for the name, values, most values,
        /// error message). Answers with the number of values.
        get_resp_header: c"ngx_http_lua_ffi_get_resp_header",
            (*mut NgxRequest, *const c_uchar, usize, *mut c_uchar,
             *mut LuaStr, c_int, *mut *mut c_char) -> c_int;
        /// (request, name, length, remove, value, length, values, count,
        /// replace, error message).
        set_resp_header: c"ngx_http_lua_ffi_set_resp_header",
            (*mut NgxRequest, *const c_uchar, usize, c_int, *const c_uchar, usize,
             *mut LuaStr, usize, c_int, *mut *mut c_char) -> c_int;
        get_resp_status: c"ngx_http_lua_ffi_get_resp_status", (*mut NgxRequest) -> c_int;
        set_resp_status: c"ngx_http_lua_ffi_set_resp_status", (*mut NgxRequest, c_int) -> c_int;

        // -- response body -------------------------------------------------

        /// (request). 1 in the last call of the body filter.
        get_body_filter_param_eof: c"ngx_http_lua_ffi_get_body_filter_param_eof",
            (*mut NgxRequest) -> c_int;
        /// (request, data, length). New in 0.10.23. AGAIN when the chunk is in
        /// several pieces: then only the length is given.
        get_body_filter_param_body: c"ngx_http_lua_ffi_get_body_filter_param_body",
            (*mut NgxRequest, *mut *mut c_uchar, *mut usize) -> c_int;
        /// (request, room for all of it). New in 0.10.23.
        copy_body_filter_param_body: c"ngx_http_lua_ffi_copy_body_filter_param_body",
            (*mut NgxRequest, *mut c_uchar) -> c_int;

        // -- variables -----------------------------------------------------

        /// (request, name or null for a capture, length, room for the name,
        /// capture, value, length, error message).
        var_get: c"ngx_http_lua_ffi_var_get",
            (*mut NgxRequest, *const c_uchar, usize, *mut c_uchar, c_int,
             *mut *mut c_uchar, *mut usize, *mut *mut c_char) -> c_int;
        /// (request, name, length, room for the name, value or null to unset,
        /// length, room for an error message, its length).
        var_set: c"ngx_http_lua_ffi_var_set",
            (*mut NgxRequest, *const c_uchar, usize, *mut c_uchar, *const c_uchar, usize,
             *mut c_uchar, *mut usize) -> c_int;

        // -- shared dictionaries -------------------------------------------

        /// (what `ngx.shared.NAME[1]` holds).
        shdict_udata_to_zone: c"ngx_http_lua_ffi_shdict_udata_to_zone",
            (*mut c_void) -> *mut NgxZone;
        /// (zone, key, length, value type, value, length, number, flags, stale
        /// ones too, is stale, error message). A value longer than the room
        /// given comes in memory of malloc that is the caller's to free.
        shdict_get: c"ngx_http_lua_ffi_shdict_get",
            (*mut NgxZone, *const c_uchar, usize, *mut c_int, *mut *mut c_uchar, *mut usize,
             *mut c_double, *mut c_int, c_int, *mut c_int, *mut *mut c_char) -> c_int;
        /// (zone, operation, key, length, value type, value, length, number,
        /// milliseconds to live, flags, error message, others were evicted).
        shdict_store: c"ngx_http_lua_ffi_shdict_store",
            (*mut NgxZone, c_int, *const c_uchar, usize, c_int, *const c_uchar, usize,
             c_double, c_long, c_int, *mut *mut c_char, *mut c_int) -> c_int;
        /// (zone, key, length, value, error message, has initial value,
        /// initial value, its milliseconds to live, others were evicted).
        shdict_incr: c"ngx_http_lua_ffi_shdict_incr",
            (*mut NgxZone, *const c_uchar, usize, *mut c_double, *mut *mut c_char,
             c_int, c_double, c_long, *mut c_int) -> c_int;
    }
    optional {
        /// (zone). Bytes.
        shdict_capacity: c"ngx_http_lua_ffi_shdict_capacity", (*mut NgxZone) -> usize;
        /// (request or null). The level of the log, at most debug unless
        /// single debug parts are on.
        get_sys_filter_level: c"ngx_http_lua_ffi_errlog_get_sys_filter_level",
            (*mut NgxRequest) -> c_int;
    }
}

/// True in a process that runs lua-nginx-module, of whatever version: this one
/// is older than all that the library can work with.
pub fn is_in_nginx() -> bool {
    find(c"ngx_http_lua_ffi_get_phase").is_some()
}

fn find(symbol: &CStr) -> Option<*mut c_void> {
    // SAFETY: dlsym only reads the name, which ends with a NUL.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    (!address.is_null()).then_some(address)
}

fn name(symbol: &'static CStr) -> &'static str {
    symbol.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_nginx_is_told_what_it_lacks() {
        assert_eq!(Symbols::load().err(), Some("ngx_http_lua_ffi_raw_log"));
        assert!(!is_in_nginx());
    }
}
