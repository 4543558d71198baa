//! Every host function as the host sees it: numbers in, a status out.
//!
//! The SDK's own wrappers panic on a status they do not expect; a test wants to see that status.

macro_rules! imports {
    (
        module = $module:tt;
        $($name:ident($($arg:ident: $ty:ty),*);)*
    ) => {
        #[link(wasm_import_module = $module)]
        extern "C" {
            $(fn $name($($arg: $ty),*) -> i32;)*
        }

        /// Calls the function of that name. `None`: there is none; `Err`: how many numbers it takes.
        pub fn call(name: &str, args: &[u64]) -> Option<Result<i32, usize>> {
            match name {
                $(stringify!($name) => {
                    let &[$($arg),*] = args else {
                        let names: &[&str] = &[$(stringify!($arg)),*];
                        return Some(Err(names.len()));
                    };
                    // SAFETY: the host checks what it is given; whatever it writes to stays inside
                    // this memory, and harm done to the script's own data is the test's intent.
                    Some(Ok(unsafe { $name($($arg as $ty),*) }))
                })*
                _ => None,
            }
        }
    };
}

pub mod env {
    imports! {
        module = "env";

        proxy_log(level: i32, text: i32, size: i32);
        proxy_get_log_level(level: i32);
        proxy_get_current_time_nanoseconds(time: i32);
        proxy_set_tick_period_milliseconds(period: i32);

        proxy_get_buffer_bytes(kind: i32, start: i32, max: i32, data: i32, size: i32);
        proxy_get_buffer_status(kind: i32, size: i32, flags: i32);
        proxy_set_buffer_bytes(kind: i32, start: i32, len: i32, data: i32, size: i32);

        proxy_get_header_map_pairs(map: i32, data: i32, size: i32);
        proxy_set_header_map_pairs(map: i32, data: i32, size: i32);
        proxy_get_header_map_size(map: i32, size: i32);
        proxy_get_header_map_value(map: i32, key: i32, key_size: i32, data: i32, size: i32);
        proxy_add_header_map_value(map: i32, key: i32, key_size: i32, data: i32, size: i32);
        proxy_replace_header_map_value(map: i32, key: i32, key_size: i32, data: i32, size: i32);
        proxy_remove_header_map_value(map: i32, key: i32, key_size: i32);

        proxy_get_property(path: i32, path_size: i32, data: i32, size: i32);
        proxy_set_property(path: i32, path_size: i32, data: i32, size: i32);

        proxy_get_shared_data(key: i32, key_size: i32, data: i32, size: i32, cas: i32);
        proxy_set_shared_data(key: i32, key_size: i32, data: i32, size: i32, cas: i32);

        proxy_register_shared_queue(name: i32, name_size: i32, token: i32);
        proxy_resolve_shared_queue(vm: i32, vm_size: i32, name: i32, name_size: i32, token: i32);
        proxy_dequeue_shared_queue(token: i32, data: i32, size: i32);
        proxy_enqueue_shared_queue(token: i32, data: i32, size: i32);

        proxy_continue_request();
        proxy_continue_response();
        proxy_continue_stream(stream: i32);
        proxy_close_stream(stream: i32);
        proxy_clear_route_cache();
        proxy_send_local_response(status: i32, details: i32, details_size: i32, body: i32,
            body_size: i32, headers: i32, headers_size: i32, grpc_status: i32);
        proxy_send_http_response(status: i32, details: i32, details_size: i32, body: i32,
            body_size: i32, headers: i32, headers_size: i32, grpc_status: i32);

        proxy_http_call(upstream: i32, upstream_size: i32, headers: i32, headers_size: i32,
            body: i32, body_size: i32, trailers: i32, trailers_size: i32, timeout: i32, token: i32);
        proxy_dispatch_http_call(upstream: i32, upstream_size: i32, headers: i32, headers_size: i32,
            body: i32, body_size: i32, trailers: i32, trailers_size: i32, timeout: i32, token: i32);

        proxy_grpc_call(upstream: i32, upstream_size: i32, service: i32, service_size: i32,
            method: i32, method_size: i32, metadata: i32, metadata_size: i32,
            message: i32, message_size: i32, timeout: i32, token: i32);
        proxy_grpc_stream(upstream: i32, upstream_size: i32, service: i32, service_size: i32,
            method: i32, method_size: i32, metadata: i32, metadata_size: i32, token: i32);
        proxy_grpc_send(token: i32, message: i32, message_size: i32, end: i32);
        proxy_grpc_cancel(token: i32);
        proxy_grpc_close(token: i32);
        proxy_get_status(code: i32, data: i32, size: i32);

        proxy_set_effective_context(context: i32);
        proxy_done();
        proxy_call_foreign_function(name: i32, name_size: i32, args: i32, args_size: i32,
            data: i32, size: i32);

        proxy_define_metric(kind: i32, name: i32, name_size: i32, metric: i32);
        proxy_increment_metric(metric: i32, offset: i64);
        proxy_record_metric(metric: i32, value: i64);
        proxy_get_metric(metric: i32, value: i32);

        proxy_get_configuration(data: i32, size: i32);
    }
}

/// Of WASI all but `proc_exit` and `sched_yield`, which the standard library calls for us
/// (and whose names the C library below it has taken).
pub mod wasi {
    imports! {
        module = "wasi_snapshot_preview1";

        args_get(argv: i32, buf: i32);
        args_sizes_get(argc: i32, size: i32);
        environ_get(environ: i32, buf: i32);
        environ_sizes_get(count: i32, size: i32);
        clock_res_get(clock: i32, resolution: i32);
        clock_time_get(clock: i32, precision: i64, time: i32);
        fd_advise(fd: i32, offset: i64, len: i64, advice: i32);
        fd_allocate(fd: i32, offset: i64, len: i64);
        fd_close(fd: i32);
        fd_datasync(fd: i32);
        fd_fdstat_get(fd: i32, stat: i32);
        fd_fdstat_set_flags(fd: i32, flags: i32);
        fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64);
        fd_filestat_get(fd: i32, stat: i32);
        fd_filestat_set_size(fd: i32, size: i64);
        fd_filestat_set_times(fd: i32, accessed: i64, modified: i64, flags: i32);
        fd_pread(fd: i32, iovs: i32, count: i32, offset: i64, size: i32);
        fd_prestat_get(fd: i32, stat: i32);
        fd_prestat_dir_name(fd: i32, path: i32, size: i32);
        fd_pwrite(fd: i32, iovs: i32, count: i32, offset: i64, size: i32);
        fd_read(fd: i32, iovs: i32, count: i32, size: i32);
        fd_readdir(fd: i32, buf: i32, size: i32, cookie: i64, used: i32);
        fd_renumber(fd: i32, to: i32);
        fd_seek(fd: i32, offset: i64, whence: i32, position: i32);
        fd_sync(fd: i32);
        fd_tell(fd: i32, position: i32);
        fd_write(fd: i32, iovs: i32, count: i32, size: i32);
        path_create_directory(fd: i32, path: i32, path_size: i32);
        path_filestat_get(fd: i32, flags: i32, path: i32, path_size: i32, stat: i32);
        path_filestat_set_times(fd: i32, flags: i32, path: i32, path_size: i32,
            accessed: i64, modified: i64, times: i32);
        path_link(old_fd: i32, flags: i32, old: i32, old_size: i32,
            new_fd: i32, new: i32, new_size: i32);
        path_open(fd: i32, dirflags: i32, path: i32, path_size: i32, oflags: i32,
            base: i64, inheriting: i64, flags: i32, opened: i32);
        path_readlink(fd: i32, path: i32, path_size: i32, buf: i32, buf_size: i32, used: i32);
        path_remove_directory(fd: i32, path: i32, path_size: i32);
        path_rename(fd: i32, old: i32, old_size: i32, new_fd: i32, new: i32, new_size: i32);
        path_symlink(old: i32, old_size: i32, fd: i32, new: i32, new_size: i32);
        path_unlink_file(fd: i32, path: i32, path_size: i32);
        poll_oneoff(subscriptions: i32, events: i32, count: i32, happened: i32);
        random_get(buf: i32, size: i32);
        sock_accept(fd: i32, flags: i32, accepted: i32);
        sock_recv(fd: i32, iovs: i32, count: i32, flags: i32, size: i32, out_flags: i32);
        sock_send(fd: i32, iovs: i32, count: i32, flags: i32, size: i32);
        sock_shutdown(fd: i32, how: i32);
    }
}
