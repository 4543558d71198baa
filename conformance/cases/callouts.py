"""HTTP callouts."""

from harness.case import Case, get, post, reply

CASES = [
    Case(
        "an answer is read",
        covers=["proxy_http_call", "proxy_on_http_call_response", "proxy_get_buffer_bytes"],
        config="""
request_headers http_call callout 5000 :path=/check?a=b :authority=callout.test x-one=1
request_headers pause
http_call_response echo_params
http_call_response get_header call_response :status
http_call_response get_header call_response x-user
http_call_response get_header call_response X-USER
http_call_response get_header call_response x-missing
http_call_response get_body call_body
http_call_response get_body call_body 2 3
http_call_response get_body_status call_body
http_call_response continue request
""",
        callout={"*": reply(201, {"x-user": "Joe"}, "the answer")},
        expect=['OK "the answer"', "callout header x-one: 1"],
        differs="Envoy adds headers",
    ),
    Case(
        "all headers of an answer",
        covers=["proxy_http_call", "proxy_get_header_map_pairs"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response get_pairs call_response
http_call_response continue request
""",
        callout={"*": reply(200, [("X-A", "1"), ("x-b", "2"), ("set-cookie", "a=1"),
                                  ("set-cookie", "b=2")], "the answer")},
        expect=["x-b"],
        differs="Envoy adds headers",
    ),
    Case(
        "a method and a body",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 5000 :method=POST :path=/check :authority=callout.test content-type=text/plain body=question
request_headers pause
http_call_response continue request
""",
        callout={"*": reply(200)},
        expect=['callout body: "question"'],
    ),
    Case(
        "trailers of an answer",
        covers=["proxy_http_call", "proxy_get_header_map_pairs"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response echo_params
http_call_response get_pairs call_trailers
http_call_response get_header call_trailers x-end
http_call_response continue request
""",
        callout={"*": reply(200, chunks=["a", "b"], trailers={"x-end": "yes"})},
        expect=["x-end"],
        differs="Envoy adds headers",
    ),
    Case(
        "trailers of a call",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 5000 :method=POST :path=/check :authority=callout.test body=question trailer.x-end=yes
request_headers pause
http_call_response continue request
""",
        callout={"*": reply(200)},
        expect=["callout"],
    ),
    Case(
        "an empty answer",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response echo_params
http_call_response get_body call_body
http_call_response continue request
""",
        callout={"*": reply(204)},
        mask=[(r"num_headers=\d+", "num_headers=N")],
        expect=["http_call_response"],
    ),
    Case(
        "one after the other",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 5000 :path=/one :authority=callout.test
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call callout 5000 :path=/two :authority=callout.test
http_call_response nth 2 continue request
""",
        callout={"/one": reply(body="one"), "/two": reply(body="two")},
        expect=['OK "two"'],
    ),
    Case(
        "two at a time",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 5000 :path=/slow :authority=callout.test
request_headers http_call callout 5000 :path=/fast :authority=callout.test
request_headers pause
http_call_response get_body call_body
http_call_response nth 2 continue request
""",
        callout={"/slow": reply(body="slow", delay=0.2), "/fast": reply(body="fast")},
        expect=['OK "slow"', 'OK "fast"'],
    ),
    Case(
        "nobody listens",
        covers=["proxy_http_call", "proxy_get_status"],
        config="""
request_headers http_call dead 1000 :path=/check :authority=dead.test
request_headers pause
http_call_response echo_params
http_call_response get_pairs call_response
http_call_response continue request
""",
        expect=["http_call_response"],
        differs="A failed callout has no headers",
    ),
    Case(
        "an upstream that hangs up",
        covers=["proxy_http_call", "proxy_get_status"],
        config="""
request_headers http_call callout 1000 :method=POST :path=/check :authority=callout.test
request_headers pause
http_call_response echo_params
http_call_response proxy_get_status * **
http_call_response continue request
""",
        callout={"*": reply(hangs_up=True)},
        expect=["http_call_response"],
        differs="A failed callout has no headers",
    ),
    Case(
        "a timeout",
        covers=["proxy_http_call"],
        config="""
request_headers http_call callout 200 :path=/check :authority=callout.test
request_headers pause
http_call_response echo_params
http_call_response get_header call_response :status
http_call_response get_body call_body
http_call_response continue request
""",
        callout={"*": reply(delay=1)},
        settle=1,
        expect=["http_call_response"],
        differs="A failed callout has no headers",
    ),
    Case(
        "a status without a call",
        covers=["proxy_get_status"],
        config="""
request_headers proxy_get_status * **
""",
        expect=["proxy_get_status"],
    ),
    Case(
        "a status after an answer",
        covers=["proxy_get_status"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response proxy_get_status * **
http_call_response continue request
""",
        callout={"*": reply(500)},
        expect=["proxy_get_status"],
    ),
    Case(
        "calls that are refused",
        covers=["proxy_http_call"],
        config="""
request_headers proxy_http_call "callout" {:method=GET,:path=/} "" {} 1000 *
request_headers proxy_http_call "callout" {:method=GET,:authority=a} "" {} 1000 *
request_headers proxy_http_call "callout" {:path=/,:authority=a} "" {} 1000 *
request_headers proxy_http_call "callout" {} "" {} 1000 *
request_headers proxy_http_call "" {:method=GET,:path=/,:authority=a} "" {} 1000 *
""",
        expect=["BAD_ARGUMENT"],
    ),
    Case(
        "an upstream that nobody knows",
        covers=["proxy_http_call"],
        config="""
request_headers proxy_http_call "no such cluster" {:method=GET,:path=/,:authority=a} "" {} 1000 *
""",
        expect=["proxy_http_call"],
    ),
    Case(
        "from the response's headers, nobody waits",
        covers=["proxy_http_call"],
        config="""
response_headers http_call callout 5000 :path=/report :authority=callout.test
http_call_response get_header call_response :status
""",
        callout={"*": reply(202)},
        settle=0.3,
        expect=["callout: GET /report"],
    ),
    Case(
        "from the log",
        covers=["proxy_http_call", "proxy_on_log"],
        config="""
log http_call callout 5000 :path=/report :authority=callout.test
http_call_response get_header call_response :status
""",
        callout={"*": reply(202)},
        settle=0.3,
        expect=["callout: GET /report"],
    ),
    Case(
        "a callout out of the answer to another one",
        covers=["proxy_http_call", "proxy_on_http_call_response"],
        config="""
request_headers http_call callout 5000 :path=/first :authority=callout.test
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call callout 5000 :method=POST :path=/second :authority=callout.test body=more
http_call_response nth 2 local_response 200 both
""",
        callout={"*": reply(200, None, "an answer")},
        expect=["/second"],
    ),
    Case(
        "under its other name",
        covers=["proxy_dispatch_http_call"],
        config="""
request_headers http_call callout 5000 :path=/check :authority=callout.test
request_headers pause
http_call_response get_body call_body
http_call_response continue request
""",
        nginx_names={"proxy_http_call": "proxy_dispatch_http_call"},
        callout={"*": reply(body="the answer")},
        expect=['OK "the answer"'],
    ),
    Case(
        "the answer is not for everybody",
        covers=["proxy_on_http_call_response", "proxy_set_effective_context"],
        config="""
request_headers remember
request_headers if_header x-wait yes http_call callout 5000 :path=/check :authority=callout.test
request_headers if_header x-wait yes pause
http_call_response get_header request :path
http_call_response continue request
""",
        requests=[get("/passes"), get("/waits", {"x-wait": "yes"})],
        callout={"*": reply(body="the answer")},
        expect=["/waits"],
    ),
]
