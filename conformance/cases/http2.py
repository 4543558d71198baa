"""Requests over HTTP/2."""

from harness.case import Case, get, post, reply, request

CASES = [
    Case(
        "HTTP/2, headers",
        covers=["proxy_get_header_map_pairs", "proxy_add_header_map_value", "proxy_get_property"],
        http2=True,
        config="""
request_headers get_pairs request
request_headers get_header request host
request_headers get_property request.protocol
request_headers set_header request x-added yes
response_headers get_pairs response
response_headers add_header response X-Answered yes
""",
        requests=[get("/a%20b?c=d", {"x-in": "1"})],
        any_order=True,
        expect=["origin header x-added: yes", "response header x-answered: yes", "HTTP/2"],
    ),
    Case(
        "HTTP/2, pseudo headers",
        covers=["proxy_replace_header_map_value"],
        http2=True,
        config="""
request_headers set_header request :path /other?x=y
request_headers set_header request :authority other.test
request_headers set_header request :method PUT
""",
        expect=["origin: PUT /other", "origin header host: other.test"],
    ),
    Case(
        "HTTP/2, a body with a length",
        covers=["proxy_on_request_body", "proxy_set_buffer_bytes"],
        http2=True,
        config="""
request_headers echo_params
request_headers remove_header request content-length
request_body if_eos false pause
request_body if_eos true set_body request_body 0 -1 replaced
""",
        requests=[post("/", "hello")],
        expect=['origin body: "replaced"', "end_of_stream=false"],
    ),
    Case(
        "HTTP/2, a body without a length",
        covers=["proxy_on_request_body", "proxy_get_buffer_bytes"],
        http2=True,
        config="""
request_headers echo_params
request_body if_eos false pause
request_body if_eos true get_body request_body
""",
        requests=[request("POST", "/", chunks=["hel", "lo"])],
        expect=['origin body: "hello"', "end_of_stream=false"],
    ),
    Case(
        "HTTP/2, a response's body",
        covers=["proxy_on_response_body", "proxy_set_buffer_bytes"],
        http2=True,
        config="""
response_headers remove_header response content-length
response_body if_eos false pause
response_body if_eos true set_body response_body 0 0 "changed: "
""",
        origin=reply(headers={"content-type": "text/plain"}, chunks=["one", "two"]),
        expect=['response body: "changed: onetwo"'],
    ),
    Case(
        "HTTP/2, local responses",
        covers=["proxy_send_local_response"],
        http2=True,
        config="""
request_headers if_header x-how body local_response 403 denied x-why=because details=forbidden
request_headers if_header x-how nothing local_response 404
""",
        requests=[get("/", {"x-how": "body"}), get("/", {"x-how": "nothing"})],
        statuses=[403, 404],
        expect=["response 1 header x-why: because"],
    ),
    Case(
        "HTTP/2, a local response in place of the origin's",
        covers=["proxy_send_local_response"],
        http2=True,
        config="""
response_headers local_response 503 late
""",
        statuses=[503],
        expect=['response body: "late"'],
    ),
    Case(
        "HTTP/2, a gRPC request is answered",
        covers=["proxy_send_local_response"],
        http2=True,
        config="""
request_headers local_response 403 denied grpc_status=7
""",
        requests=[post("/", "", {"content-type": "application/grpc", "te": "trailers"})],
        expect=["grpc-status: 7"],
    ),
    Case(
        "HTTP/2, a callout decides",
        covers=["proxy_http_call", "proxy_on_http_call_response"],
        http2=True,
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response into_header request x-checked get_header call_response x-user
http_call_response continue request
""",
        callout={"*": reply(200, {"x-user": "joe"})},
        expect=["origin header x-checked: joe"],
    ),
]
