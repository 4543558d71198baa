"""Buffers: bodies, configurations."""

from harness.case import Case, get, post, reply, request

TEXT = {"content-type": "text/plain"}
# A case of its own shows how these differ.
COUNT = (r"num_headers=\d+", "num_headers=N")

CASES = [
    Case(
        "a request body is read",
        covers=["proxy_on_request_body", "proxy_get_buffer_bytes", "proxy_get_buffer_status"],
        config="""
request_body if_eos false pause
request_body if_eos true echo_params
request_body if_eos true get_body request_body
request_body if_eos true get_body request_body 2
request_body if_eos true get_body request_body 1 3
request_body if_eos true get_body request_body 0 0xFFFFFFFF
request_body if_eos true get_body_status request_body
""",
        requests=[post("/", "hello world")],
        expect=["hello world"],
    ),
    Case(
        "reading behind the end",
        covers=["proxy_get_buffer_bytes"],
        config="""
request_body if_eos false pause
request_body if_eos true proxy_get_buffer_bytes 0 5 10 **
request_body if_eos true proxy_get_buffer_bytes 0 6 10 **
request_body if_eos true proxy_get_buffer_bytes 0 0 0 **
request_body if_eos true proxy_get_buffer_bytes 0 0xFFFFFFFF 0xFFFFFFFF **
request_body if_eos true proxy_get_buffer_bytes 0 2 0xFFFFFFFF **
request_body if_eos true proxy_get_buffer_bytes 0 0x7fffffff 0x7fffffff **
""",
        requests=[post("/", "hello")],
        expect=["proxy_get_buffer_bytes"],
    ),
    Case(
        "headers say whether a body follows",
        covers=["proxy_on_request_headers", "proxy_on_request_body"],
        config="""
request_headers echo_params
request_body if_eos false pause
request_body if_eos true echo_params
""",
        requests=[get("/"), post("/", "a body")],
        expect=["end_of_stream=true", "end_of_stream=false"],
    ),
    Case(
        "an empty body that was announced",
        covers=["proxy_on_request_headers", "proxy_on_request_body"],
        config="""
request_headers echo_params
request_body echo_params
""",
        requests=[post("/", "")],
        expect=["end_of_stream"],
    ),
    Case(
        "a chunked request",
        covers=["proxy_on_request_body"],
        config="""
request_headers echo_params
request_body if_eos true echo_params
""",
        requests=[request("POST", "/", chunks=["hello ", "chunked ", "world"])],
        expect=['origin body: "hello chunked world"'],
        differs="Request bodies come whole",
    ),
    Case(
        "a request body, collected by pausing",
        covers=["proxy_on_request_body"],
        config="""
request_body if_eos false pause
request_body if_eos true echo_params
request_body if_eos true get_body request_body
""",
        requests=[request("POST", "/", chunks=["hello ", "chunked ", "world"])],
        expect=['"hello chunked world"'],
    ),
    Case(
        "a request body is not collected by the host",
        covers=["proxy_on_request_body"],
        config="""
request_body echo_params
request_body get_body request_body
""",
        requests=[post("/", "hello world")],
        expect=["hello world"],
        differs="Request bodies come whole",
    ),
    Case(
        "a request body is replaced",
        covers=["proxy_set_buffer_bytes"],
        config="""
request_body if_eos false pause
request_headers remove_header request content-length
request_body if_eos true set_body request_body 0 -1 "something longer than before"
request_body if_eos true get_body request_body
""",
        requests=[post("/", "hello")],
        expect=['origin body: "something longer than before"'],
    ),
    Case(
        "a request body: prepend, append",
        covers=["proxy_set_buffer_bytes"],
        config="""
request_body if_eos false pause
request_headers remove_header request content-length
request_body if_eos true set_body request_body 0 0 "before "
request_body if_eos true set_body request_body 0x7fffffff 0 " after"
request_body if_eos true get_body request_body
""",
        requests=[post("/", "hello")],
        expect=['origin body: "before hello after"'],
    ),
    Case(
        "a request body: the beginning is replaced",
        covers=["proxy_set_buffer_bytes"],
        config="""
request_body if_eos false pause
request_headers remove_header request content-length
request_body if_eos true set_body request_body 0 4 "J"
request_body if_eos true get_body request_body
""",
        requests=[post("/", "hello")],
        expect=['origin body: "Jo"'],
    ),
    Case(
        "a request body: the middle is replaced",
        covers=["proxy_set_buffer_bytes"],
        config="""
request_body if_eos false pause
request_headers remove_header request content-length
request_body if_eos true proxy_set_buffer_bytes 0 1 3 "XX"
request_body if_eos true get_body request_body
""",
        requests=[post("/", "hello")],
        expect=["proxy_set_buffer_bytes"],
        differs="`proxy_set_buffer_bytes` replaces",
    ),
    Case(
        "a request body is emptied",
        covers=["proxy_set_buffer_bytes"],
        config="""
request_body if_eos false pause
request_headers remove_header request content-length
request_body if_eos true set_body request_body 0 -1 ""
request_body if_eos true get_body request_body
""",
        requests=[post("/", "hello")],
        expect=['origin body: ""'],
    ),
    Case(
        "a large request body",
        covers=["proxy_on_request_body", "proxy_get_buffer_bytes"],
        config="""
request_body if_eos false pause
request_body if_eos true get_body request_body
request_body if_eos true get_body request_body 99990 20
""",
        requests=[post("/", "0123456789" * 10000)],
        expect=["0123456789"],
    ),
    Case(
        "a response body is read",
        covers=["proxy_on_response_body", "proxy_get_buffer_bytes", "proxy_get_buffer_status"],
        config="""
response_headers echo_params
response_body if_eos false pause
response_body if_eos true get_body response_body
response_body if_eos true get_body response_body 1 3
response_body if_eos true get_body_status response_body
""",
        mask=[COUNT],
        expect=["hello"],
    ),
    Case(
        "a response body is replaced",
        covers=["proxy_set_buffer_bytes"],
        config="""
response_headers remove_header response content-length
response_body if_eos false pause
response_body if_eos true set_body response_body 0 -1 "another body"
""",
        expect=['response body: "another body"'],
    ),
    Case(
        "a response body: prepend, append",
        covers=["proxy_set_buffer_bytes"],
        config="""
response_headers remove_header response content-length
response_body if_eos false pause
response_body if_eos true set_body response_body 0 0 "before "
response_body if_eos true set_body response_body 0x7fffffff 0 " after"
""",
        origin=reply(headers=TEXT, body="hello"),
        expect=['response body: "before hello after"'],
    ),
    Case(
        "a response body, chunk by chunk",
        covers=["proxy_on_response_body"],
        config="""
response_headers echo_params
response_headers remove_header response content-length
response_body set_body response_body 0 0 "["
response_body set_body response_body 0x7fffffff 0 "]"
""",
        origin=reply(headers=TEXT, chunks=["one", "two", "three"]),
        mask=[COUNT],
        expect=["one"],
    ),
    Case(
        "a response body, collected by pausing",
        covers=["proxy_on_response_body"],
        config="""
response_headers remove_header response content-length
response_body if_eos false pause
response_body if_eos true get_body response_body
response_body if_eos true replace_body response_body two TWO
""",
        origin=reply(headers=TEXT, chunks=["one", "two", "three"]),
        expect=['response body: "oneTWOthree"'],
    ),
    Case(
        "a response without a body",
        covers=["proxy_on_response_headers", "proxy_on_response_body"],
        config="""
response_headers echo_params
response_body echo_params
""",
        requests=[request("HEAD", "/")],
        mask=[COUNT],
        expect=["response_headers"],
    ),
    Case(
        "204 and 304",
        covers=["proxy_on_response_headers"],
        config="""
response_headers echo_params
response_headers add_header response x-added yes
response_body echo_params
""",
        origin=reply(204),
        statuses=[204],
        mask=[COUNT],
        expect=["response header x-added: yes"],
    ),
    Case(
        "a response of no length",
        covers=["proxy_on_response_headers", "proxy_on_response_body"],
        config="""
response_headers echo_params
response_body echo_params
""",
        origin=reply(headers=TEXT, body=""),
        mask=[COUNT],
        expect=["response_headers"],
    ),
    Case(
        "the configurations",
        covers=["proxy_get_buffer_bytes", "proxy_on_vm_start", "proxy_on_configure"],
        vm_config="""vm_start echo_params
vm_start get_body vm_configuration
""",
        config="""
configure echo_params
configure get_body plugin_configuration 0 20
configure get_body vm_configuration 0 20
""",
        expect=["vm_start echo_params"],
    ),
    Case(
        "the configurations, during a request",
        covers=["proxy_get_buffer_bytes"],
        vm_config="the vm configuration",
        config="""
request_headers proxy_get_buffer_bytes 6 0 20 **
request_headers proxy_get_buffer_bytes 7 0 20 **
""",
        expect=["proxy_get_buffer_bytes"],
        differs="The configuration of a plugin",
    ),
    Case(
        "buffers that are not there, or do not exist",
        covers=["proxy_get_buffer_bytes", "proxy_set_buffer_bytes", "proxy_get_buffer_status"],
        config="""
request_headers proxy_get_buffer_bytes 0 0 10 **
request_headers proxy_get_buffer_bytes 1 0 10 **
request_headers proxy_get_buffer_bytes 4 0 10 **
request_headers proxy_get_buffer_bytes 5 0 10 **
request_headers proxy_get_buffer_bytes 8 0 10 **
request_headers proxy_get_buffer_bytes 99 0 10 **
request_headers proxy_get_buffer_status 0 * *
request_headers proxy_get_buffer_status 99 * *
request_headers proxy_set_buffer_bytes 4 0 10 "a"
request_headers proxy_set_buffer_bytes 99 0 10 "a"
""",
        expect=["proxy_get_buffer_status"],
        differs="What a plugin cannot change",
    ),
    Case(
        "under their other names",
        covers=["proxy_get_buffer", "proxy_set_buffer"],
        config="""
request_headers remove_header request content-length
request_body if_eos false pause
request_body if_eos true get_body request_body
request_body if_eos true set_body request_body 0 -1 replaced
request_body if_eos true get_body request_body
""",
        nginx_names={"proxy_get_buffer_bytes": "proxy_get_buffer",
                     "proxy_set_buffer_bytes": "proxy_set_buffer"},
        requests=[post("/", "hello")],
        expect=['origin body: "replaced"'],
    ),
]
