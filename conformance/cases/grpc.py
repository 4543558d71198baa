"""gRPC callouts, to the server of the tests (t/lib/grpc_server.py)."""

from harness.case import Case

CASES = [
    Case(
        "a message and its answer",
        covers=["proxy_grpc_call", "proxy_on_grpc_receive", "proxy_get_status"],
        config="""
request_headers grpc_call grpc test.Echo Echo 5000 "hello there"
request_headers pause
grpc_call_response echo_params
grpc_call_response get_body grpc_message
grpc_call_response grpc_status
grpc_call_response continue request
""",
        expect=['OK "hello there"'],
    ),
    Case(
        "an empty message and an empty answer",
        covers=["proxy_grpc_call", "proxy_on_grpc_receive"],
        config="""
request_headers grpc_call grpc test.Echo Echo 5000 ""
request_headers pause
grpc_call_response echo_params
grpc_call_response get_body grpc_message
grpc_call_response continue request
""",
        expect=["status=0 size=0"],
    ),
    Case(
        "a large message and a large answer",
        covers=["proxy_grpc_call", "proxy_on_grpc_receive"],
        config="""
request_headers grpc_call grpc test.Echo Echo 5000 fill:3000000:x
request_headers pause
grpc_call_response echo_params
grpc_call_response continue request
""",
        expect=["size=3000000"],
    ),
    Case(
        "a call that fails",
        covers=["proxy_grpc_call", "proxy_on_grpc_close", "proxy_get_status"],
        config="""
request_headers grpc_call grpc test.Echo Fail 5000 "7 50% are enough"
request_headers pause
grpc_call_response echo_params
grpc_call_response grpc_status
grpc_call_response get_body grpc_message
grpc_call_response continue request
""",
        expect=["status=7", "are enough"],
        differs="The message of a status is the upstream's alone",
    ),
    Case(
        "metadata",
        covers=["proxy_grpc_call"],
        config="""
request_headers grpc_call grpc test.Echo Metadata 5000 "" x-one=1 x-two=2
request_headers pause
grpc_call_response get_body grpc_message
grpc_call_response continue request
""",
        expect=["x-one: 1", "x-two: 2"],
    ),
    Case(
        "a method that is not there",
        covers=["proxy_grpc_call", "proxy_on_grpc_close"],
        config="""
request_headers grpc_call grpc test.Echo Nothing 5000 ""
request_headers pause
grpc_call_response echo_params
grpc_call_response grpc_status
grpc_call_response continue request
""",
        expect=["status=12"],
        differs="The message of a status is the upstream's alone",
    ),
    Case(
        "a call whose time is over",
        covers=["proxy_grpc_call", "proxy_on_grpc_close"],
        config="""
request_headers grpc_call grpc test.Echo Slow 200 "3000"
request_headers pause
# Its status is a matter of who is first: the server, with 4, or Envoy, with 14.
grpc_call_response log info "it is over"
grpc_call_response continue request
""",
        expect=["it is over"],
    ),
    Case(
        "nobody listens",
        covers=["proxy_grpc_call", "proxy_on_grpc_close"],
        config="""
request_headers grpc_call dead test.Echo Echo 5000 ""
request_headers pause
grpc_call_response echo_params
grpc_call_response continue request
""",
        expect=["status=14"],
    ),
    Case(
        "a service that is none",
        covers=["proxy_grpc_call", "proxy_grpc_stream"],
        config="""
request_headers proxy_grpc_call nobody test.Echo Echo {} "" 1000 *
request_headers proxy_grpc_stream nobody test.Echo Chat {} *
""",
        expect=["PARSE_FAILURE"],
    ),
    Case(
        "Envoy's message for a service",
        covers=["proxy_grpc_call"],
        config="""
request_headers grpc_call "\\x0a\\x06\\x0a\\x04grpc" test.Echo Echo 5000 "hello"
request_headers pause
grpc_call_response get_body grpc_message
grpc_call_response continue request
""",
        expect=['OK "hello"'],
    ),
    Case(
        "a stream, both ways",
        covers=["proxy_grpc_stream", "proxy_grpc_send", "proxy_grpc_close",
                "proxy_on_grpc_receive_initial_metadata", "proxy_on_grpc_receive",
                "proxy_on_grpc_receive_trailing_metadata", "proxy_on_grpc_close"],
        config="""
request_headers grpc_stream grpc test.Echo Chat
request_headers grpc_send last one false
request_headers pause
grpc_initial_metadata get_header grpc_initial :status
grpc_initial_metadata get_header grpc_initial x-chat
grpc_initial_metadata get_header grpc_initial content-type
grpc_message get_body grpc_message
grpc_message nth 1 grpc_send last two false
grpc_message nth 2 grpc_close last
grpc_trailing_metadata get_header grpc_trailing x-chat
grpc_trailing_metadata get_header grpc_trailing grpc-status
grpc_close echo_params
grpc_close grpc_status
grpc_close continue request
""",
        expect=["re:one", "re:two", '"begun"', '"over"'],
        differs="The message of a status is the upstream's alone",
    ),
    Case(
        "many messages from the upstream",
        covers=["proxy_grpc_stream", "proxy_on_grpc_receive"],
        config="""
request_headers grpc_stream grpc test.Echo Count
request_headers grpc_send last "5" true
request_headers pause
grpc_message get_body grpc_message
grpc_close echo_params
grpc_close continue request
""",
        expect=['OK "5"'],
    ),
    Case(
        "many messages to the upstream",
        covers=["proxy_grpc_stream", "proxy_grpc_send"],
        config="""
request_headers grpc_stream grpc test.Echo Join
request_headers repeat 5 grpc_send last part false
request_headers grpc_send last end true
request_headers pause
grpc_message get_body grpc_message
grpc_close echo_params
grpc_close continue request
""",
        expect=["part,part,part,part,part,end"],
    ),
    Case(
        "a stream that is refused",
        covers=["proxy_grpc_stream", "proxy_on_grpc_close"],
        config="""
request_headers grpc_stream grpc test.Echo Hasty
request_headers pause
grpc_initial_metadata echo_params
grpc_trailing_metadata get_header grpc_trailing grpc-status
grpc_close echo_params
grpc_close grpc_status
grpc_close continue request
""",
        expect=["status=9"],
        differs="The message of a status is the upstream's alone",
    ),
    Case(
        "a stream that is cancelled",
        covers=["proxy_grpc_cancel"],
        config="""
request_headers grpc_stream grpc test.Echo Count
request_headers grpc_send last "-1" true
request_headers pause
grpc_message nth 3 grpc_cancel last
grpc_message nth 3 continue request
grpc_message nth 4 log info "heard of again"
grpc_close log info "heard of again"
""",
        settle=0.2,
        expect=["grpc_cancel"],
    ),
    Case(
        "calls from a configuration and a tick",
        covers=["proxy_grpc_call"],
        config="""
configure grpc_call grpc test.Echo Echo 5000 "from configure"
grpc_call_response get_body grpc_message
grpc_call_response once tick 50
tick once grpc_call grpc test.Echo Echo 5000 "from tick"
""",
        settle=1,
        expect=["from configure", "from tick"],
    ),
    Case(
        "tokens that are none",
        covers=["proxy_grpc_send", "proxy_grpc_cancel", "proxy_grpc_close"],
        config="""
request_headers proxy_grpc_send 0x700001 x 1
request_headers proxy_grpc_cancel 0x700002
request_headers proxy_grpc_close 0x700002
""",
        expect=["proxy_grpc_send"],
        differs="`proxy_grpc_send` answers 1 for a token that is none",
    ),
]
