"""Contexts, timers, foreign functions, gRPC."""

from harness.case import ANY, Case, get, reply, request

CASES = [
    Case(
        "an effective context that does not exist",
        covers=["proxy_set_effective_context"],
        config="""
request_headers proxy_set_effective_context 99999
request_headers get_header request :path
""",
        expect=["BAD_ARGUMENT"],
    ),
    Case(
        "the own context",
        covers=["proxy_set_effective_context"],
        config="""
request_headers set_effective_context self
request_headers get_header request :path
""",
        expect=["set_effective_context.* = OK"],
    ),
    Case(
        "another request's context",
        covers=["proxy_set_effective_context", "proxy_continue_stream"],
        config="""
request_headers if_header x-wait yes http_call callout 5000 :path=/check :authority=callout.test
request_headers if_header x-wait yes pause
http_call_response set_effective_context origin
http_call_response get_header request :path
http_call_response set_header request x-set yes
http_call_response continue request
""",
        requests=[get("/waits", {"x-wait": "yes"})],
        callout={"*": reply(body="the answer")},
        expect=["origin header x-set: yes"],
    ),
    Case(
        "done is put off",
        covers=["proxy_done", "proxy_on_done", "proxy_on_log"],
        config="""
done if_root false log info "not done yet"
done if_root false return false
log if_root false log info "logged"
delete if_root false log info "deleted"
""",
        settle=0.3,
        expect=["not done yet"],
        differs="The order of the end is",
    ),
    Case(
        "done without need",
        covers=["proxy_done"],
        config="""
request_headers proxy_done
""",
        expect=["proxy_done"],
        differs="What a plugin cannot change",
    ),
    Case(
        "ticks",
        covers=["proxy_set_tick_period_milliseconds", "proxy_on_tick"],
        config="""
request_headers once tick 50
tick nth 1 log info "a tick"
tick nth 2 tick 0
tick nth 2 log info "the last tick"
tick nth 3 log info "one too many"
""",
        settle=0.5,
        expect=["a tick", "the last tick"],
    ),
    Case(
        "a tick lets a paused request go on",
        covers=["proxy_set_tick_period_milliseconds", "proxy_on_tick",
                "proxy_set_effective_context", "proxy_continue_stream"],
        config="""
request_headers remember
request_headers once tick 50
request_headers pause
tick tick 0
tick set_effective_context origin
tick set_header request x-ticked yes
tick continue request
""",
        mask=[(r"set_effective_context\(\d+\)", "set_effective_context(ID)")],
        expect=[r"continue\(request\) = OK"],
    ),
    Case(
        "a tick makes a callout",
        covers=["proxy_set_tick_period_milliseconds", "proxy_on_tick", "proxy_http_call"],
        config="""
request_headers once tick 50
tick once http_call callout 5000 :path=/tick :authority=callout.test
http_call_response get_header call_response :status
""",
        callout={"*": reply(202)},
        settle=0.5,
        expect=["http_call"],
    ),
    Case(
        "a foreign function that nobody has",
        covers=["proxy_call_foreign_function"],
        config="""
request_headers proxy_call_foreign_function "no_such_function" "" **
""",
        expect=["proxy_call_foreign_function"],
    ),
    Case(
        "foreign functions: compress and uncompress",
        covers=["proxy_call_foreign_function"],
        config="""
request_headers save packed foreign compress fill:200:abc
request_headers foreign uncompress $packed
request_headers foreign uncompress "no zlib"
""",
        # Compressed as well as the zlib at hand does it.
        mask=[(r"(foreign\(compress .*\) = OK 0x78)[0-9a-f]+", r"\1…")],
        expect=["abcabc"],
    ),
    Case(
        "a foreign function that has nothing to say later",
        covers=["proxy_on_foreign_function", "proxy_call_foreign_function"],
        config="""
request_headers foreign compress data
foreign_function log info "it has"
request_headers log info "asked"
""",
        expect=["asked"],
    ),
    Case(
        "a gRPC stream",
        covers=["proxy_grpc_stream", "proxy_grpc_send", "proxy_grpc_cancel", "proxy_grpc_close"],
        config="""
request_headers grpc_stream callout service Method
request_headers grpc_send last message false
request_headers grpc_cancel last
""",
        expect=["grpc_stream"],
        statuses=ANY,
    ),
    Case(
        "request trailers",
        covers=["proxy_on_request_body"],
        config="""
request_headers remove_header request content-length
request_body if_eos true get_body request_body
request_body if_eos true get_pairs request_trailers
request_trailers get_body request_body
request_trailers get_pairs request_trailers
""",
        requests=[request("POST", "/", chunks=["hello"], trailers={"x-end": "yes"})],
        expect=["hello"],
        differs=["Request trailers are not there", "Request bodies come whole"],
    ),
    Case(
        "response trailers",
        covers=["proxy_on_response_trailers"],
        config="""
response_body echo_params
response_trailers get_pairs response_trailers
""",
        origin=reply(headers={"trailer": "x-end"}, chunks=["hello"], trailers={"x-end": "yes"}),
        expect=["hello"],
        differs=["Response trailers are there where", "The last chunk of a body"],
    ),
]
