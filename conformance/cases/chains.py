"""Several plugins in one request.

The first of `plugins` is asked first for the request. For the response Envoy asks the last one first: there a
case is `turned`, so that here it is asked first, too.
"""

from harness.case import ANY, Case, Plugin, post, reply, request

ORIGIN = reply(headers={"content-type": "text/plain", "x-from": "origin"}, body="hello")
CHUNKS = reply(headers={"content-type": "text/plain"}, chunks=["one", "two", "three"])

# What a plugin sees of a response, and that it comes to its end.
WITNESS = """
response_headers get_header response :status
response_headers get_header response x-who
response_body once get_body response_body
response_trailers echo_params
"""


def holds_request(name):
    return """
request_headers http_call callout 2000 :path=/NAME
request_headers pause
http_call_response save user get_header call_response x-user
http_call_response set_header request x-NAME $user
http_call_response continue request
""".replace("NAME", name)


CASES = [
    Case(
        "both answer in the response's headers",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        turned=True,
        plugins=[
            Plugin("response_headers local_response 402 second x-who=second" + WITNESS),
            Plugin("response_headers local_response 401 first x-who=first" + WITNESS),
        ],
        origin=ORIGIN,
        statuses=[401],
        expect=['response body: "first"', "response header x-who: first"],
    ),
    Case(
        "an answer in the response's headers, and who was asked before",
        covers=["proxy_send_local_response", "proxy_on_response_body"],
        turned=True,
        plugins=[
            Plugin("response_headers local_response 401 answer x-who=second\n"),
            Plugin(WITNESS),
        ],
        origin=CHUNKS,
        statuses=[401],
        expect=['response body: "answer"'],
    ),
    Case(
        "an answer in the response's headers, and who would be asked later",
        covers=["proxy_send_local_response", "proxy_on_response_body"],
        turned=True,
        plugins=[
            Plugin(WITNESS),
            Plugin("response_headers local_response 401 answer x-who=first\n"),
        ],
        origin=CHUNKS,
        statuses=[401],
        expect=['response body: "answer"'],
    ),
    Case(
        "an answer in the response's headers, without a body",
        covers=["proxy_send_local_response"],
        turned=True,
        plugins=[
            Plugin(WITNESS),
            Plugin("response_headers local_response 401\n"),
            Plugin(WITNESS),
        ],
        origin=CHUNKS,
        statuses=[401],
        expect=['response body: ""'],
    ),
    Case(
        "an answer in the response's headers, and trailers",
        covers=["proxy_send_local_response", "proxy_on_response_trailers"],
        turned=True,
        plugins=[
            Plugin(WITNESS),
            Plugin("response_headers local_response 401 answer\n"),
            Plugin(WITNESS),
        ],
        origin=reply(headers={"trailer": "x-end"}, chunks=["hello"], trailers={"x-end": "yes"}),
        statuses=[401],
        expect=['response body: "answer"'],
    ),
    Case(
        "an answer in the response's headers to HEAD",
        covers=["proxy_send_local_response"],
        turned=True,
        plugins=[
            Plugin(WITNESS),
            Plugin("response_headers local_response 401 answer x-who=first\n"),
        ],
        requests=[request("HEAD")],
        origin=ORIGIN,
        statuses=[401],
        expect=["response header x-who: first"],
    ),
    Case(
        "an answer in the request's headers, seen by who was asked before",
        covers=["proxy_send_local_response", "proxy_on_response_body"],
        plugins=[
            Plugin(WITNESS),
            Plugin("request_headers local_response 403 early x-who=early\n"),
        ],
        origin=ORIGIN,
        statuses=[403],
        expect=['get_body.* = OK "early"'],
    ),
    Case(
        "an answer in the request's headers, and who would be asked later",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        plugins=[
            Plugin("request_headers local_response 403 early x-who=early\n"),
            Plugin(WITNESS),
        ],
        origin=ORIGIN,
        statuses=[403],
        expect=['response body: "early"'],
        differs="A response may come without request callbacks",
    ),
    Case(
        "an answer to the request, and one in its response's headers",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        plugins=[
            Plugin(WITNESS + "response_headers local_response 401 late x-who=late\n"),
            Plugin("request_headers local_response 403 early x-who=early\n"),
        ],
        origin=ORIGIN,
        statuses=ANY,
        expect=['get_header.* = OK "early"'],
    ),
    Case(
        "the end of an answered response",
        covers=["proxy_send_local_response", "proxy_on_done", "proxy_on_delete"],
        plugins=[
            Plugin("done log info done\ndelete log info deleted\n"),
            Plugin("response_headers local_response 401 answer\n"),
            Plugin("done log info done\ndelete log info deleted\n"),
        ],
        origin=ORIGIN,
        statuses=[401],
        expect=["log 0 info: deleted", "log 2 info: deleted"],
    ),
    Case(
        "a trap in the response's headers, and one who answers",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        turned=True,
        plugins=[
            Plugin(WITNESS + "response_headers local_response 401 answer\n"),
            Plugin(guest="trap_on_response_headers"),
        ],
        origin=ORIGIN,
        statuses=[503],
        expect=["response: 503"],
    ),
    Case(
        "an answer in the response's headers, and one who would trap",
        covers=["proxy_send_local_response", "proxy_on_response_headers"],
        turned=True,
        plugins=[
            Plugin(guest="trap_on_response_headers"),
            Plugin("response_headers local_response 401 answer x-who=first\n"),
        ],
        origin=ORIGIN,
        statuses=[401],
        expect=['response body: "answer"'],
    ),
    Case(
        "both hold the request, one after the other",
        covers=["proxy_http_call", "proxy_continue_stream"],
        plugins=[
            Plugin(holds_request("first") + "request_body echo_params\n"),
            Plugin(holds_request("second") + "request_body echo_params\n"),
        ],
        callout={"/first": reply(200, headers={"x-user": "joe"}),
                 "/second": reply(200, headers={"x-user": "sue"})},
        origin=ORIGIN,
        expect=["origin header x-first: joe", "origin header x-second: sue"],
    ),
    Case(
        "both hold the request, and the second answers",
        covers=["proxy_http_call", "proxy_send_local_response"],
        plugins=[
            Plugin(holds_request("first") + WITNESS),
            Plugin("""
request_headers http_call callout 2000 :path=/second
request_headers pause
http_call_response local_response 403 "not you"
"""),
        ],
        callout={"*": reply(200, headers={"x-user": "joe"})},
        statuses=[403],
        expect=['response body: "not you"'],
    ),
    Case(
        "both hold the request, and both answer",
        covers=["proxy_http_call", "proxy_send_local_response"],
        plugins=[
            Plugin("""
request_headers http_call callout 2000 :path=/first
request_headers pause
http_call_response local_response 401 first
"""),
            Plugin("""
request_headers http_call callout 2000 :path=/second
request_headers pause
http_call_response local_response 403 second
"""),
        ],
        callout={"*": reply(200)},
        statuses=[401],
        expect=['response body: "first"'],
    ),
    Case(
        "both hold the body of the request",
        covers=["proxy_on_request_body", "proxy_set_buffer_bytes"],
        plugins=[
            Plugin("""
request_headers remove_header request content-length
request_body if_eos false pause
request_body if_eos true set_body request_body 0 0 "first "
"""),
            Plugin("""
request_body if_eos false pause
request_body if_eos true get_body request_body
request_body if_eos true set_body request_body 0 0 "second "
"""),
        ],
        requests=[post("/", "body")],
        expect=['origin body: "second first body"'],
    ),
    Case(
        "both hold the body of the response",
        covers=["proxy_on_response_body"],
        turned=True,
        plugins=[
            Plugin("""
response_body if_eos false pause
response_body if_eos true get_body response_body
response_body if_eos true set_body response_body 0 0 "second "
"""),
            Plugin("""
response_body if_eos false pause
response_body if_eos true get_body response_body
response_body if_eos true set_body response_body 0 0 "first "
"""),
        ],
        origin=CHUNKS,
        expect=['response body: "second first onetwothree"'],
    ),
    Case(
        "one changes the body behind one that holds it",
        covers=["proxy_on_response_body", "proxy_set_buffer_bytes"],
        turned=True,
        plugins=[
            Plugin("""
response_body get_body response_body
response_body if_eos true replace_body response_body two 2
"""),
            Plugin("response_body if_eos false pause\n"),
        ],
        origin=CHUNKS,
        expect=['response body: "one2three"'],
    ),
    Case(
        "one holds the body behind one that changes it",
        covers=["proxy_on_response_body", "proxy_set_buffer_bytes"],
        turned=True,
        plugins=[
            Plugin("""
response_body if_eos false pause
response_body if_eos true get_body response_body
"""),
            Plugin('response_body if_eos false set_body response_body 0 0 "+"\n'),
        ],
        origin=CHUNKS,
        expect=['response body: "\\+one\\+two\\+three"'],
    ),
    Case(
        "one changes the headers, the next answers by them",
        covers=["proxy_add_header_map_value", "proxy_send_local_response"],
        plugins=[
            Plugin("request_headers add_header request x-role guest\n"),
            Plugin('request_headers if_header x-role guest local_response 403 "guests may not"\n'),
        ],
        statuses=[403],
        expect=['response body: "guests may not"'],
    ),
]
