"""Pausing and going on."""

from harness.case import ANY, Case, get, post, reply

CALLOUT = {"*": reply(200, {"x-user": "joe"}, "allowed", delay=0.1)}

# The first chunk is held until something continues it; the others come later than a callout's answer.
HELD = """
response_headers remove_header response content-length
response_body echo_params
response_body get_body response_body
response_body nth 1 http_call callout 5000 :path=/check :authority=callout
response_body nth 1 pause
"""
PIECES = reply(headers={"content-type": "text/plain"}, chunks=["one", "two", "three"], between=0.4)
AT_ONCE = {"*": reply(200, body="allowed")}

CASES = [
    Case(
        "a request waits for a callout",
        covers=["proxy_continue_stream", "proxy_http_call", "proxy_on_http_call_response"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout
request_headers pause
http_call_response save user get_header call_response x-user
http_call_response set_header request x-auth-user $user
http_call_response continue request
response_headers log info "response headers"
""",
        callout=CALLOUT,
        expect=["origin header x-auth-user: joe"],
    ),
    Case(
        "a request waits in its body",
        covers=["proxy_continue_stream"],
        config="""
request_body if_eos false pause
request_body if_eos true http_call callout 5000 :path=/check :authority=callout
request_body if_eos true pause
http_call_response continue request
""",
        requests=[post("/", "the body")],
        callout=CALLOUT,
        expect=['origin body: "the body"'],
    ),
    Case(
        "a request that waited is answered",
        covers=["proxy_send_local_response"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout
request_headers pause
http_call_response local_response 401 "who are you?" x-by=plugin
""",
        callout=CALLOUT,
        statuses=[401],
        expect=["response header x-by: plugin"],
    ),
    Case(
        "continue without a pause",
        covers=["proxy_continue_stream"],
        config="""
request_headers continue request
""",
        expect=["continue"],
        differs="Continuing what is not paused",
    ),
    Case(
        "continue, then pause",
        covers=["proxy_continue_stream"],
        config="""
request_headers continue request
request_headers pause
""",
        expect=["continue"],
        statuses=ANY,
    ),
    Case(
        "streams that are not ours, or do not exist",
        covers=["proxy_continue_stream"],
        config="""
request_headers proxy_continue_stream 2
request_headers proxy_continue_stream 3
request_headers proxy_continue_stream 4
request_headers proxy_continue_stream 99
""",
        expect=["proxy_continue_stream"],
        differs="Stream 3",
    ),
    Case(
        "a response's headers wait",
        covers=["proxy_continue_stream"],
        config="""
response_headers http_call callout 5000 :path=/check :authority=callout
response_headers pause
http_call_response set_header response x-late yes
http_call_response continue response
""",
        callout=CALLOUT,
        expect=["http_call"],
        settle=0.3,
        differs="Response headers cannot be paused",
    ),
    Case(
        "two requests wait at the same time",
        covers=["proxy_continue_stream", "proxy_set_effective_context"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout
request_headers pause
http_call_response continue request
""",
        requests=[get("/one"), get("/two")],
        callout=CALLOUT,
        expect=["http_call"],
    ),
    Case(
        "a pause without an end, the client leaves",
        covers=["proxy_on_done", "proxy_on_delete"],
        config="""
request_headers pause
delete log info deleted
""",
        requests=[get(leaves_after=0.3)],
        statuses=ANY,
        settle=0.3,
        expect=["deleted"],
    ),
    Case(
        "a stream is closed",
        covers=["proxy_close_stream"],
        config="""
request_headers close request
""",
        statuses=ANY,
        expect=["close"],
    ),
    Case(
        "streams to close that do not exist",
        covers=["proxy_close_stream"],
        config="""
request_headers proxy_close_stream 99
request_headers proxy_close_stream 2
""",
        statuses=ANY,
        expect=["proxy_close_stream"],
    ),
    Case(
        "ABI 0.1.0: continue_response, clear_route_cache, get_configuration",
        covers=["proxy_continue_response", "proxy_get_configuration", "proxy_clear_route_cache"],
        guest="abi_0_1_0_response",
        config="the configuration",
        expect=["proxy_continue_response: 00", "proxy_clear_route_cache: 00", "the configuration"],
    ),
    Case(
        "a response's body waits until the end",
        covers=["proxy_continue_stream", "proxy_on_response_body"],
        config="""
response_headers remove_header response content-length
response_body pause
response_body if_eos true get_body response_body
response_body if_eos true continue response
""",
        origin=reply(headers={"content-type": "text/plain"}, chunks=["one", "two"]),
        expect=['response body: "onetwo"'],
    ),
    Case(
        "a response's body is continued by a callout's answer",
        covers=["proxy_continue_stream", "proxy_on_response_body"],
        config=HELD + """
http_call_response continue response
""",
        origin=PIECES,
        callout=AT_ONCE,
        expect=['response body: "onetwothree"', "size=3 end_of_stream=false", 'OK "two"'],
    ),
    Case(
        "a response's body is continued, and held again",
        covers=["proxy_continue_stream", "proxy_on_response_body"],
        config=HELD + """
response_body nth 2 pause
http_call_response continue response
""",
        origin=PIECES,
        callout=AT_ONCE,
        expect=['response body: "onetwothree"', 'OK "twothree"'],
    ),
    Case(
        "a held response's body is changed by a callout's answer",
        covers=["proxy_continue_stream", "proxy_set_buffer_bytes", "proxy_get_buffer_bytes"],
        config=HELD + """
http_call_response get_body response_body
http_call_response set_body response_body 0 -1 ONE
http_call_response continue response
http_call_response set_body response_body 0 0 "new:"
""",
        origin=PIECES,
        callout=AT_ONCE,
        expect=['response body: "new:ONEtwothree"'],
    ),
    Case(
        "a held response's body is not continued before its end",
        covers=["proxy_on_response_body"],
        config=HELD + """
response_body nth 2 pause
""",
        origin=PIECES,
        callout=AT_ONCE,
        expect=['response body: "onetwothree"', 'OK "onetwo"'],
    ),
    Case(
        "under the names of the draft",
        covers=["proxy_resume_http_request"],
        guest="sdk_0_1_4_http_auth_random",
        nginx_names={"proxy_continue_request": "proxy_resume_http_request"},
        callout={"*": reply(200, body=b"\x02")},
        expect=["response header powered-by: proxy-wasm"],
    ),
    Case(
        "under the names of the draft, of a response",
        covers=["proxy_resume_http_response"],
        guest="abi_0_1_0_response",
        nginx_names={"proxy_continue_response": "proxy_resume_http_response"},
        expect=["proxy_continue_response: 00"],
    ),
]
