"""gRPC callouts, to the server of the tests (t/lib/grpc_server.py)."""

from harness.case import Case

CALL = ["proxy_grpc_call", "proxy_on_grpc_receive"]
FAILED_CALL = ["proxy_grpc_call", "proxy_on_grpc_close"]
STREAM = ["proxy_grpc_stream", "proxy_on_grpc_receive"]

MESSAGE_OF_A_STATUS = "The message of a status is the upstream's alone"


def call(method, message, *answer, upstream="grpc", timeout=5000):
    """A call that its request waits for, and what the callback with the answer does."""
    return script("request_headers grpc_call %s test.Echo %s %d %s" % (upstream, method, timeout, message),
                  "request_headers pause",
                  *["grpc_call_response " + each for each in answer],
                  "grpc_call_response continue request")


def stream(method, sends, *callbacks, ends=True):
    """A stream that its request waits for: what is sent first, and what callbacks do."""
    return script("request_headers grpc_stream grpc test.Echo " + method,
                  *["request_headers " + each for each in sends],
                  "request_headers pause",
                  *callbacks,
                  *(["grpc_close continue request"] if ends else []))


def script(*lines):
    return "\n" + "".join(line + "\n" for line in lines)


CASES = [
    Case(
        "a message and its answer",
        covers=CALL + ["proxy_get_status"],
        config=call("Echo", '"hello there"', "echo_params", "get_body grpc_message", "grpc_status"),
        expect=['OK "hello there"'],
    ),
    Case(
        "an empty message and an empty answer",
        covers=CALL,
        config=call("Echo", '""', "echo_params", "get_body grpc_message"),
        expect=["status=0 size=0"],
    ),
    Case(
        "a large message and a large answer",
        covers=CALL,
        config=call("Echo", "fill:3000000:x", "echo_params"),
        expect=["size=3000000"],
    ),
    Case(
        "a call that fails",
        covers=FAILED_CALL + ["proxy_get_status"],
        config=call("Fail", '"7 50% are enough"', "echo_params", "grpc_status",
                    "get_body grpc_message"),
        expect=["status=7", "are enough"],
        differs=MESSAGE_OF_A_STATUS,
    ),
    Case(
        "metadata",
        covers=["proxy_grpc_call"],
        config=call("Metadata", '"" x-one=1 x-two=2', "get_body grpc_message"),
        expect=["x-one: 1", "x-two: 2"],
    ),
    Case(
        "a method that is not there",
        covers=FAILED_CALL,
        config=call("Nothing", '""', "echo_params", "grpc_status"),
        expect=["status=12"],
        differs=MESSAGE_OF_A_STATUS,
    ),
    Case(
        "a call whose time is over",
        covers=FAILED_CALL,
        # Its status is a matter of who is first: the server, with 4, or Envoy, with 14.
        config=call("Slow", '"3000"', 'log info "it is over"', timeout=200),
        expect=["it is over"],
    ),
    Case(
        "nobody listens",
        covers=FAILED_CALL,
        config=call("Echo", '""', "echo_params", upstream="dead"),
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
        config=call("Echo", '"hello"', "get_body grpc_message",
                    upstream='"\\x0a\\x06\\x0a\\x04grpc"'),
        expect=['OK "hello"'],
    ),
    Case(
        "a stream, both ways",
        covers=STREAM + ["proxy_grpc_send", "proxy_grpc_close",
                         "proxy_on_grpc_receive_initial_metadata",
                         "proxy_on_grpc_receive_trailing_metadata", "proxy_on_grpc_close"],
        config=stream("Chat", ["grpc_send last one false"],
                      "grpc_initial_metadata get_header grpc_initial :status",
                      "grpc_initial_metadata get_header grpc_initial x-chat",
                      "grpc_initial_metadata get_header grpc_initial content-type",
                      "grpc_message get_body grpc_message",
                      "grpc_message nth 1 grpc_send last two false",
                      "grpc_message nth 2 grpc_close last",
                      "grpc_trailing_metadata get_header grpc_trailing x-chat",
                      "grpc_trailing_metadata get_header grpc_trailing grpc-status",
                      "grpc_close echo_params",
                      "grpc_close grpc_status"),
        expect=["re:one", "re:two", '"begun"', '"over"'],
        differs=MESSAGE_OF_A_STATUS,
    ),
    Case(
        "many messages from the upstream",
        covers=STREAM,
        config=stream("Count", ['grpc_send last "5" true'],
                      "grpc_message get_body grpc_message",
                      "grpc_close echo_params"),
        expect=['OK "5"'],
    ),
    Case(
        "many messages to the upstream",
        covers=["proxy_grpc_stream", "proxy_grpc_send"],
        config=stream("Join", ["repeat 5 grpc_send last part false", "grpc_send last end true"],
                      "grpc_message get_body grpc_message",
                      "grpc_close echo_params"),
        expect=["part,part,part,part,part,end"],
    ),
    Case(
        "a stream that is refused",
        covers=["proxy_grpc_stream", "proxy_on_grpc_close"],
        config=stream("Hasty", [],
                      "grpc_initial_metadata echo_params",
                      "grpc_trailing_metadata get_header grpc_trailing grpc-status",
                      "grpc_close echo_params",
                      "grpc_close grpc_status"),
        expect=["status=9"],
        differs=MESSAGE_OF_A_STATUS,
    ),
    Case(
        "a stream that is cancelled",
        covers=["proxy_grpc_cancel"],
        config=stream("Count", ['grpc_send last "-1" true'],
                      "grpc_message nth 3 grpc_cancel last",
                      "grpc_message nth 3 continue request",
                      'grpc_message nth 4 log info "heard of again"',
                      'grpc_close log info "heard of again"', ends=False),
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
