"""Local responses."""

from harness.case import ANY, Case, get, post, reply, request

CALLOUT = {"*": reply(200, body="allowed")}

CASES = [
    Case(
        "from the request's headers",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no entry" x-a=1 x-b=2 x-a=3
""",
        statuses=[403],
        expect=["response header x-a: 3", 'response body: "no entry"'],
    ),
    Case(
        "204 and a body",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 204 "a body" x-a=1
response_headers echo_params
response_headers get_pairs response
""",
        statuses=[204],
        expect=["response header x-a: 1"],
        differs="204 and 304 have no body",
    ),
    Case(
        "the length of nothing",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "" x-a=1
response_headers echo_params
response_headers get_header response content-length
""",
        statuses=[403],
        expect=["response header x-a: 1", "get_header"],
        differs="Without a body there is a Content-Length of 0",
    ),
    Case(
        "and a pause",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no entry" x-a=1
request_headers pause
""",
        statuses=[403],
        expect=['response body: "no entry"'],
    ),
    Case(
        "from the request's body",
        covers=["proxy_send_local_response"],
        config="""
request_body if_eos true local_response 413 "too large" x-a=1
request_body pause
""",
        requests=[post("/", "body")],
        statuses=[413],
        expect=['response body: "too large"'],
    ),
    Case(
        "from the response's headers",
        covers=["proxy_send_local_response"],
        config="""
response_headers local_response 502 "not so" x-a=1
""",
        origin=reply(headers={"x-from": "origin", "content-type": "text/html"}),
        statuses=[502],
        expect=['response body: "not so"', "response header x-a: 1"],
    ),
    Case(
        "from the response's body",
        covers=["proxy_send_local_response"],
        config="""
response_body if_eos true local_response 502 "not so" x-a=1
""",
        statuses=ANY,
        expect=["local_response"],
    ),
    Case(
        "from the response's body, headers not sent yet",
        covers=["proxy_send_local_response"],
        config="""
response_body if_eos false pause
response_body if_eos true local_response 502 "not so" x-a=1
""",
        statuses=ANY,
        expect=["local_response"],
        differs="From the response body on",
    ),
    Case(
        "without a body",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 404 "" x-a=1
""",
        statuses=[404],
        expect=['response body: ""'],
    ),
    Case(
        "with a content type",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 200 "{}" content-type=application/json
""",
        expect=["application/json"],
    ),
    Case(
        "the first one wins",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 401 "first"
request_headers local_response 402 "second"
""",
        statuses=[401],
        expect=['body: "first"'],
    ),
    Case(
        "a HEAD request",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no entry" x-a=1
""",
        requests=[request("HEAD", "/")],
        statuses=[403],
        expect=["x-a: 1"],
    ),
    Case(
        "its own callbacks",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        config="""
request_headers local_response 403 "no entry" x-a=1
response_headers get_header response :status
response_headers get_header response x-a
response_headers add_header response x-late yes
log log info "logged"
""",
        statuses=[403],
        expect=["logged"],
    ),
    Case(
        "details",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no" details=because
log get_property response.code_details
""",
        statuses=[403],
        expect=["because"],
    ),
    Case(
        "many headers of one name, and a cookie",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 302 "" location=/login set-cookie=a=1 set-cookie=b=2
""",
        statuses=[302],
        expect=["response header location"],
    ),
    Case(
        "a gRPC request",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no entry" grpc_status=7
""",
        requests=[post("/service/Method", "x", {"content-type": "application/grpc"})],
        statuses=ANY,
        expect=["grpc-status"],
    ),
    Case(
        "a gRPC status for another request",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 "no entry" grpc_status=7
""",
        statuses=[403],
        expect=['body: "no entry"'],
    ),
    Case(
        "under its other name",
        covers=["proxy_send_http_response"],
        config="""
request_headers local_response 403 "no entry" x-a=1
""",
        nginx_names={"proxy_send_local_response": "proxy_send_http_response"},
        statuses=[403],
        expect=['body: "no entry"'],
    ),
    Case(
        "a malformed map of headers",
        covers=["proxy_send_local_response"],
        config="""
request_headers proxy_send_local_response 403 "" "body" "\\x05\\x00\\x00" -1
""",
        statuses=ANY,
        expect=["proxy_send_local_response"],
    ),
    Case(
        "statuses that are none",
        covers=["proxy_send_local_response"],
        config="""
request_headers proxy_send_local_response 99 "" "body" 0 0 -1
""",
        requests=[get(patience=1)],
        statuses=ANY,
        expect=["proxy_send_local_response"],
        differs="Status 200 to 999",
    ),
    Case(
        "from a root context",
        covers=["proxy_send_local_response"],
        config="""
configure proxy_send_local_response 403 "" "body" 0 0 -1
""",
        statuses=ANY,
        expect=["proxy_send_local_response"],
    ),
]
