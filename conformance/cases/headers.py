"""HTTP fields: the maps of the request and of the response."""

from harness.case import ANY, Case, get, post, reply, request

TEXT = {"content-type": "text/plain"}

CASES = [
    Case(
        "request headers are read",
        covers=["proxy_get_header_map_value", "proxy_on_request_headers"],
        config="""
request_headers get_header request x-in
request_headers get_header request X-In
request_headers get_header request x-missing
request_headers get_header request x-empty
request_headers echo_params
""",
        requests=[get("/a?b=c", [("X-In", "Hello"), ("x-empty", "")])],
        expect=["Hello"],
    ),
    Case(
        "all request headers, in order",
        covers=["proxy_get_header_map_pairs"],
        config="""
request_headers get_pairs request
""",
        requests=[get("/a?b=c", [("X-One", "1"), ("accept", "*/*"), ("x-two", "2"), ("x-One", "3"),
                                 ("user-agent", "me")])],
        expect=["x-two"],
    ),
    Case(
        "pseudo headers of a request",
        covers=["proxy_get_header_map_value"],
        config="""
request_headers get_header request :method
request_headers get_header request :path
request_headers get_header request :authority
request_headers get_header request :scheme
request_headers get_header request :status
request_headers get_header request :nonsense
request_headers get_header request host
""",
        requests=[get("/a%20b?c=d%2Fe", {"host": "Example.com:8080"}),
                  post("/p", "x")],
        expect=["a%20b"],
    ),
    Case(
        "a header of several values",
        covers=["proxy_get_header_map_value"],
        config="""
request_headers get_header request x-many
response_headers get_header response x-many
response_headers get_header response set-cookie
""",
        requests=[get("/", [("x-many", "one"), ("x-many", "two")])],
        origin=reply(headers=[("content-type", "text/plain"), ("x-many", "one"), ("x-many", "two"),
                              ("set-cookie", "a=1"), ("set-cookie", "b=2")]),
        expect=["one"],
    ),
    Case(
        "the size of a map",
        covers=["proxy_get_header_map_size"],
        config="""
request_headers get_map_size request
response_headers get_map_size response
""",
        origin=reply(headers={"content-type": "text/plain", "x-a": "b"}),
        expect=["get_map_size"],
    ),
    Case(
        "request headers are added, replaced, removed",
        covers=["proxy_add_header_map_value", "proxy_replace_header_map_value",
                "proxy_remove_header_map_value"],
        config="""
request_headers add_header request x-added one
request_headers add_header request x-added two
request_headers set_header request x-replaced new
request_headers set_header request x-new yes
request_headers remove_header request x-removed
request_headers remove_header request x-not-there
request_headers get_header request x-added
request_headers get_header request x-replaced
request_headers get_header request x-removed
request_headers get_pairs request
""",
        requests=[get("/", {"x-replaced": "old", "x-removed": "yes"})],
        expect=["origin header x-added: two", "origin header x-replaced: new"],
        differs="Pseudo headers come first",
    ),
    Case(
        "replacing a header that is there twice",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request x-many only
response_headers set_header response x-many only
""",
        requests=[get("/", [("x-many", "1"), ("x-many", "2")])],
        origin=reply(headers=[("x-many", "1"), ("x-many", "2")]),
        expect=["origin header x-many: only", "response header x-many: only"],
    ),
    Case(
        "header names are written in lower case",
        covers=["proxy_add_header_map_value"],
        config="""
request_headers add_header request X-Upper Value
response_headers add_header response X-Upper Value
request_headers get_pairs request
response_headers get_header response x-upper
""",
        expect=["x-upper: Value"],
    ),
    Case(
        "all request headers are replaced",
        covers=["proxy_set_header_map_pairs"],
        config="""
request_headers set_pairs request :method=GET :path=/new :authority=other.test :scheme=http x-only=this x-forwarded-proto=http
request_headers get_pairs request
""",
        requests=[get("/old", {"x-gone": "yes"})],
        expect=["origin: GET /new", "origin header x-only: this"],
        differs="Pseudo headers come first",
    ),
    Case(
        "the path is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :path /other/way?x=1&y=%20
request_headers get_header request :path
""",
        requests=[get("/first?z=1"), get("/second")],
        expect=["origin 1: GET /other/way"],
    ),
    Case(
        "the path is changed to one without a query",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :path /plain
""",
        requests=[get("/first?z=1")],
        expect=["origin: GET /plain"],
    ),
    Case(
        "the method is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :method PUT
request_headers get_header request :method
""",
        requests=[post("/", "hello")],
        expect=["origin: PUT /"],
    ),
    Case(
        "the authority is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :authority elsewhere.test
request_headers get_header request :authority
request_headers get_header request host
""",
        expect=["origin header host: elsewhere.test"],
    ),
    Case(
        "the host header is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request host elsewhere.test
request_headers get_header request :authority
request_headers get_pairs request
""",
        expect=["set_header"],
        differs="Pseudo headers come first",
    ),
    Case(
        "pseudo headers are not removed",
        covers=["proxy_remove_header_map_value"],
        config="""
request_headers remove_header request :scheme
request_headers get_header request :scheme
""",
        statuses=ANY,
        expect=["remove_header"],
        differs="`:scheme` is read-only",
    ),
    Case(
        "the query only is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :path /t?a=1&b=%2F+c
""",
        requests=[get("/t?x")],
        expect=["origin: GET /t"],
    ),
    Case(
        "a path with escaped bytes",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request :path /a%2Fb%20c
""",
        expect=["origin: GET /a"],
        differs="`:path` and escaped bytes",
    ),
    Case(
        "a path that nobody changes stays as it came",
        covers=["proxy_on_request_headers"],
        config="""
request_headers get_header request :path
""",
        requests=[get("/a%2Fb/../c//d?e=%41")],
        expect=["origin: GET /a"],
    ),
    Case(
        "response headers are read",
        covers=["proxy_on_response_headers", "proxy_get_header_map_value"],
        config="""
response_headers echo_params
response_headers get_header response :status
response_headers get_header response x-from
response_headers get_header response X-From
response_headers get_header response content-type
response_headers get_header response x-missing
""",
        origin=reply(203, {"content-type": "text/plain", "x-from": "Origin"}),
        statuses=[203],
        expect=["Origin", "203"],
    ),
    Case(
        "all response headers",
        covers=["proxy_get_header_map_pairs"],
        config="""
response_headers get_pairs response
""",
        origin=reply(headers=[("content-type", "text/plain"), ("x-b", "1"), ("x-a", "2"),
                              ("set-cookie", "a=1"), ("x-b", "3"), ("set-cookie", "b=2"),
                              ("etag", '"x"'), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        any_order=True,
        expect=["x-a"],
    ),
    Case(
        "response headers are added, replaced, removed",
        covers=["proxy_add_header_map_value", "proxy_replace_header_map_value",
                "proxy_remove_header_map_value"],
        config="""
response_headers add_header response x-added one
response_headers add_header response x-added two
response_headers set_header response x-replaced new
response_headers remove_header response x-removed
response_headers remove_header response x-not-there
response_headers get_header response x-added
response_headers get_header response x-replaced
response_headers get_header response x-removed
""",
        origin=reply(headers={"content-type": "text/plain", "x-replaced": "old", "x-removed": "yes"}),
        expect=["response header x-added: two", "response header x-replaced: new"],
    ),
    Case(
        "response headers that nginx knows by heart",
        covers=["proxy_replace_header_map_value", "proxy_remove_header_map_value"],
        config="""
response_headers set_header response content-type application/json
response_headers set_header response location /there
response_headers set_header response cache-control no-store
response_headers remove_header response etag
response_headers remove_header response last-modified
response_headers add_header response set-cookie c=3
response_headers add_header response vary accept
""",
        origin=reply(headers=[("content-type", "text/plain"), ("etag", '"x"'), ("location", "/here"),
                              ("cache-control", "max-age=1"), ("set-cookie", "a=1"),
                              ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        expect=["response header set-cookie: c=3"],
    ),
    Case(
        "the status is changed",
        covers=["proxy_replace_header_map_value"],
        config="""
response_headers set_header response :status 418
response_headers get_header response :status
""",
        statuses=[418],
        expect=['OK "418"'],
    ),
    Case(
        "all response headers are replaced",
        covers=["proxy_set_header_map_pairs"],
        config="""
response_headers set_pairs response :status=201 x-only=this content-type=text/html
""",
        origin=reply(headers={"content-type": "text/plain", "x-gone": "yes"}),
        statuses=[201],
        expect=["response header x-only: this"],
    ),
    Case(
        "request headers in the response callbacks",
        covers=["proxy_get_header_map_value"],
        config="""
response_headers get_header request x-in
response_headers get_header request :path
response_headers into_header response x-copy get_header request x-in
log get_header request x-in
log get_header response x-from
""",
        requests=[get("/a?b", {"x-in": "kept"})],
        origin=reply(headers={"content-type": "text/plain", "x-from": "origin"}),
        expect=["get_header.request x-in"],
        differs="Request headers can be read",
    ),
    Case(
        "response headers before there are any",
        covers=["proxy_get_header_map_value", "proxy_get_header_map_pairs"],
        config="""
request_headers proxy_get_header_map_value 2 "x-from" **
request_headers proxy_get_header_map_pairs 2 **
""",
        expect=["proxy_get_header_map_value"],
        differs="A header of a map that is not there",
    ),
    Case(
        "trailers before there are any",
        covers=["proxy_get_header_map_pairs"],
        config="""
request_headers proxy_get_header_map_pairs 1 **
response_headers proxy_get_header_map_pairs 3 **
request_headers proxy_get_header_map_value 1 "a" **
""",
        expect=["proxy_get_header_map_pairs"],
        differs="A header of a map that is not there",
    ),
    Case(
        "maps that do not exist",
        covers=["proxy_get_header_map_value", "proxy_get_header_map_pairs",
                "proxy_add_header_map_value", "proxy_replace_header_map_value",
                "proxy_remove_header_map_value", "proxy_get_header_map_size",
                "proxy_set_header_map_pairs"],
        config="""
request_headers proxy_get_header_map_value 9 "a" **
request_headers proxy_get_header_map_pairs 9 **
request_headers proxy_get_header_map_size 9 *
request_headers proxy_add_header_map_value 9 "a" "b"
request_headers proxy_replace_header_map_value 9 "a" "b"
request_headers proxy_remove_header_map_value 9 "a"
request_headers proxy_set_header_map_pairs 9 {a=b}
""",
        expect=["BAD_ARGUMENT"],
    ),
    Case(
        "maps of a callout's answer outside of its callback",
        covers=["proxy_get_header_map_value", "proxy_get_header_map_pairs",
                "proxy_add_header_map_value"],
        config="""
request_headers proxy_get_header_map_value 6 "a" **
request_headers proxy_get_header_map_pairs 6 **
request_headers proxy_get_header_map_pairs 7 **
request_headers proxy_get_header_map_size 6 *
request_headers proxy_add_header_map_value 6 "a" "b"
request_headers proxy_remove_header_map_value 6 "a"
""",
        expect=["proxy_get_header_map_pairs"],
        differs=["A header of a map that is not there", "What a plugin cannot change"],
    ),
    Case(
        "header values of any bytes",
        covers=["proxy_get_header_map_value", "proxy_add_header_map_value"],
        config="""
request_headers get_header request x-bytes
request_headers add_header request x-out \\xc3\\xa4\\xff
response_headers add_header response x-out \\xc3\\xa4\\xff
""",
        requests=[get("/", {"x-bytes": "\xe4\xf6"})],
        expect=["x-out"],
    ),
    Case(
        "line ends in header values",
        covers=["proxy_add_header_map_value"],
        config="""
response_headers add_header response x-out "a\\r\\nx-evil: b"
""",
        statuses=ANY,
        expect=["add_header"],
        differs="Names and values with CR, LF or NUL",
    ),
    Case(
        "an empty header value",
        covers=["proxy_replace_header_map_value"],
        config="""
request_headers set_header request x-empty ""
request_headers get_header request x-empty
response_headers set_header response x-empty ""
response_headers get_header response x-empty
""",
        requests=[get("/", {"x-empty": "full"})],
        expect=["set_header"],
        differs="Replacing a header by an empty value",
    ),
    Case(
        "addresses outside the memory",
        covers=["proxy_get_header_map_value", "proxy_add_header_map_value",
                "proxy_set_header_map_pairs", "proxy_get_header_map_size"],
        config="""
request_headers proxy_get_header_map_value 0 0xfffffff0 100 * *
request_headers proxy_get_header_map_value 0 "x-in" 0xfffffff0 *
request_headers proxy_add_header_map_value 0 0xfffffff0 100 "b"
request_headers proxy_set_header_map_pairs 0 0xfffffff0 100
request_headers proxy_get_header_map_size 0 0xfffffff0
request_headers proxy_log 2 0xfffffff0 100
""",
        requests=[get("/", {"x-in": "yes"})],
        expect=["INVALID_MEMORY_ACCESS"],
    ),
    Case(
        "Content-Length, where nothing can change the body",
        covers=["proxy_on_response_headers"],
        guest="bench_headers",
        requests=[get("/", {"x-in": "a value"})],
        length=True,
        expect=["response header content-length: 6"],
    ),
    Case(
        "Content-Length, where the plugin could change the body",
        covers=["proxy_on_response_body"],
        config="""
response_headers get_header response content-length
""",
        length=True,
        expect=['get_header.* = OK "6"'],
        differs="Content-Length of responses is removed",
    ),
    Case(
        "Content-Length, removed for another body",
        covers=["proxy_remove_header_map_value", "proxy_set_buffer_bytes"],
        config="""
response_headers remove_header response content-length
response_body if_eos false pause
response_body if_eos true set_body response_body 0 -1 "another body"
""",
        length=True,
        expect=['response body: "another body"'],
    ),
    Case(
        "Content-Length of the answer to HEAD",
        covers=["proxy_on_response_headers"],
        config="""
response_headers get_header response content-length
""",
        requests=[request("HEAD", "/")],
        origin=reply(headers={"content-type": "text/plain", "content-length": "6"}),
        length=True,
        expect=["response header content-length: 6"],
    ),
    Case(
        "Content-Length of a local response",
        covers=["proxy_send_local_response"],
        config="""
request_headers local_response 403 denied
""",
        statuses=[403],
        length=True,
        expect=["local_response"],
        differs="Content-Length of responses is removed",
    ),
    Case(
        "Content-Length of a request",
        covers=["proxy_on_request_headers"],
        guest="bench_headers",
        requests=[post("/", "the body", {"x-in": "a value"})],
        length=True,
        expect=["origin header content-length: 8"],
    ),
]
