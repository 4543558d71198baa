"""A gRPC server for the tests: the service test.Echo, messages as they come.

    grpc_server.py [certificate key]

Prints the port it listens on, and with a certificate that of its TLS port; ends
when its standard input does.
"""

import sys
import threading
import time
from concurrent import futures

import grpc


def echo(request, context):
    """The message."""
    return request


def metadata(request, context):
    """The call's metadata as a message and, of what begins with x-, as metadata."""
    given = context.invocation_metadata()
    ours = [(key, value) for key, value in given if key.startswith("x-")]
    context.send_initial_metadata(ours)
    context.set_trailing_metadata([("trail-" + key, value) for key, value in ours])
    lines = sorted(f"{key}: {value}" for key, value in given if key != "user-agent")
    return "\n".join(lines).encode()


def peer(request, context):
    """Whoever asks: the same address is the same connection."""
    return context.peer().encode()


def fail(request, context):
    """Ends with the status of the message "NUMBER text"."""
    number, _, text = request.decode().partition(" ")
    codes = {code.value[0]: code for code in grpc.StatusCode}
    context.set_trailing_metadata([("x-why", "asked")])
    context.abort(codes[int(number)], text)


def slow(request, context):
    """The message, after so many milliseconds or when it is cancelled."""
    cancelled = threading.Event()
    context.add_callback(cancelled.set)
    cancelled.wait(int(request) / 1000)
    return request


def big(request, context):
    """So many bytes."""
    return bytes(index * 7 % 256 for index in range(256)) * (int(request) // 256)


def length(request, context):
    """How long the message is."""
    return str(len(request)).encode()


def count(request, context):
    """Messages from 1 to that number, then status 0; negative: until cancelled."""
    number = 0
    while number != int(request) and context.is_active():
        number += 1
        yield str(number).encode()
        if int(request) < 0:
            time.sleep(0.01)


def join(requests, context):
    """All messages as one."""
    return b",".join(requests)


def chat(requests, context):
    """Each message back; "fail" ends with 3."""
    context.send_initial_metadata([("x-chat", "begun")])
    context.set_trailing_metadata([("x-chat", "over")])
    for request in requests:
        if request == b"fail":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "as you like")
        yield b"re:" + request


def hasty(requests, context):
    """Ends before it has heard anything."""
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")


def early(requests, context):
    """Ends well after the first message."""
    yield b"enough:" + next(requests)


def compressed(request, context):
    """The message, with gzip."""
    context.set_compression(grpc.Compression.Gzip)
    return request * 1000


def handler():
    unary = grpc.unary_unary_rpc_method_handler
    return grpc.method_handlers_generic_handler(
        "test.Echo",
        {
            "Echo": unary(echo),
            "Metadata": unary(metadata),
            "Peer": unary(peer),
            "Fail": unary(fail),
            "Slow": unary(slow),
            "Big": unary(big),
            "Length": unary(length),
            "Compressed": unary(compressed),
            "Count": grpc.unary_stream_rpc_method_handler(count),
            "Join": grpc.stream_unary_rpc_method_handler(join),
            "Chat": grpc.stream_stream_rpc_method_handler(chat),
            "Hasty": grpc.stream_stream_rpc_method_handler(hasty),
            "Early": grpc.stream_stream_rpc_method_handler(early),
        },
    )


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=100), options=options)
    server.add_generic_rpc_handlers((handler(),))
    ports = [server.add_insecure_port("0.0.0.0:0")]
    if len(sys.argv) > 1:
        certificate, key = (read(path) for path in sys.argv[1:3])
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        ports.append(server.add_secure_port("127.0.0.1:0", credentials))
    server.start()
    print(*ports, flush=True)
    sys.stdin.read()
    server.stop(0)


main()
