"""WASI."""

from harness.case import Case, get

CASES = [
    Case(
        "printing",
        covers=["proxy_on_request_headers"],
        config="""
request_headers print "to standard output"
request_headers eprint "to standard error"
""",
        expect=["log info: to standard output", "log error: to standard error"],
        differs="What a plugin prints",
    ),
    Case(
        "the environment is the plugin's own",
        covers=["proxy_on_request_headers"],
        config="""
request_headers getenv PATH
request_headers environ
request_headers wasi_args_sizes_get * *
request_headers wasi_environ_sizes_get * *
""",
        expect=["environ"],
    ),
    Case(
        "clocks",
        covers=["proxy_on_request_headers"],
        config="""
request_headers wasi_clock_res_get 0 *
request_headers wasi_clock_time_get 2 0 *
request_headers wasi_clock_time_get 9 0 *
""",
        mask=[(r"(clock_res_get.*= \S+).*", r"\1")],
        expect=["wasi_clock"],
    ),
    Case(
        "files",
        covers=["proxy_on_request_headers"],
        config="""
request_headers wasi_fd_write 1 iov:hello *
request_headers wasi_fd_write 3 iov:hello *
request_headers wasi_fd_read 0 iov:hello *
request_headers wasi_fd_seek 1 0 0 *
request_headers wasi_fd_tell 1 *
request_headers wasi_fd_fdstat_get 1 1024
request_headers wasi_fd_fdstat_get 3 1024
request_headers wasi_fd_fdstat_set_flags 1 0
request_headers wasi_fd_prestat_get 3 *
request_headers wasi_fd_prestat_dir_name 3 1024 10
request_headers wasi_fd_filestat_get 1 1024
request_headers wasi_fd_advise 1 0 0 0
request_headers wasi_fd_allocate 1 0 0
request_headers wasi_fd_datasync 1
request_headers wasi_fd_sync 3
request_headers wasi_fd_pread 1 iov:hello 0 *
request_headers wasi_fd_readdir 1 1024 10 0 *
request_headers wasi_fd_renumber 1 2
request_headers wasi_fd_close 5
""",
        expect=["wasi_fd_readdir"],
        differs="What a plugin prints",
    ),
    Case(
        "paths and sockets",
        covers=["proxy_on_request_headers"],
        config="""
request_headers wasi_path_open 3 0 "name" 0 0 0 0 *
request_headers wasi_path_filestat_get 3 0 "name" 1024
request_headers wasi_path_create_directory 3 "name"
request_headers wasi_path_remove_directory 3 "name"
request_headers wasi_path_unlink_file 3 "name"
request_headers wasi_path_rename 3 "name" 3 "other"
request_headers wasi_path_readlink 3 "name" 1024 10 *
request_headers wasi_sock_accept 3 0 *
request_headers wasi_sock_recv 3 iov:hello 0 * *
request_headers wasi_sock_send 3 iov:hello 0 *
request_headers wasi_sock_shutdown 3 0
request_headers wasi_poll_oneoff 1024 1024 1 *
""",
        expect=["wasi_path_open"],
    ),
    Case(
        "under the older name",
        covers=["proxy_on_request_headers"],
        guest="wasi_unstable",
        expect=["log "],
        differs="What a plugin prints",
    ),
    Case(
        "under the usual name",
        covers=["proxy_on_request_headers"],
        guest="wasi_snapshot_preview1",
        expect=["log "],
        differs="What a plugin prints",
    ),
]
