"""Servers that misbehave on purpose, each on a port of its own.

Prints a line "NAME PORT…"; ends when its standard input does. Each is a function
that gets a connection, by the bytes of HTTP/2.
"""

import socket
import struct
import sys
import threading
import time

DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(*pairs):
    """Literals without indexing."""

    def text(value):
        size = len(value)
        if size < 127:
            return bytes([size]) + value
        size -= 127
        prefix = [127]
        while size >= 128:
            prefix.append(size % 128 + 128)
            size //= 128
        return bytes(prefix + [size]) + value

    return b"".join(b"\0" + text(name.encode()) + text(value.encode()) for name, value in pairs)


def head(stream, status="200", content_type="application/grpc", flags=END_HEADERS, more=()):
    pairs = [(":status", status), ("content-type", content_type), *more]
    return frame(HEADERS, flags, stream, fields(*pairs))


def message(data, flag=0, size=None):
    return bytes([flag]) + struct.pack(">I", len(data) if size is None else size) + data


def trailers(stream, status="0"):
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(("grpc-status", status)))


def answer(stream, data=b"fine"):
    return head(stream) + frame(DATA, 0, stream, message(data)) + trailers(stream)


class Peer:
    def __init__(self, sock, first):
        self.sock = sock
        self.first = first
        self.file = sock.makefile("rb")

    def begin(self, settings=b""):
        self.send(frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.sock.sendall(data)

    def requests(self):
        """The streams that are opened."""
        self.file.read(24)
        while True:
            start = self.file.read(9)
            if len(start) < 9:
                return
            size = int.from_bytes(start[:3], "big")
            self.file.read(size)
            stream = int.from_bytes(start[5:], "big")
            if start[3] == SETTINGS and not start[4]:
                self.send(frame(SETTINGS, 1, 0))
            if start[3] == HEADERS:
                yield stream


def garbage(peer):
    peer.send(bytes(range(256)) * 16)
    time.sleep(5)


def http1(peer):
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")
    time.sleep(5)


def closing(peer):
    pass


def cut(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(answer(stream)[:20])
        return


def reset(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(RST, 0, stream, struct.pack(">I", 2)))


def refusing(peer):
    """The first connection refuses."""
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(RST, 0, stream, struct.pack(">I", 7)) if peer.first else answer(stream))


def refusing_always(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(RST, 0, stream, struct.pack(">I", 7)))


def leaving(peer):
    """The first connection goes away before it has looked at the call."""
    peer.begin()
    for stream in peer.requests():
        if peer.first:
            peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
        else:
            peer.send(answer(stream))


def last_answer(peer):
    """Each connection answers one call, and goes away."""
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", stream, 0)) + answer(stream))


def angry(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"go"))
        return


def html(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream, content_type="text/html") + frame(DATA, END_STREAM, stream, b"<html>"))


def busy(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream, "503", "text/plain") + frame(DATA, END_STREAM, stream, b"busy"))


def no_status(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + frame(DATA, END_STREAM, stream, message(b"fine")))


def bad_status(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + trailers(stream, "what"))


def half(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + frame(DATA, 0, stream, message(b"half", size=100)) + trailers(stream))


def giant(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + frame(DATA, 0, stream, message(b"", size=0xFFFFFFFF)))


def odd_flag(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + frame(DATA, 0, stream, message(b"x", flag=7)))


def twice(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + frame(DATA, 0, stream, message(b"a") + message(b"b")) + trailers(stream))


def empty(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(head(stream) + trailers(stream))


def fat(peer):
    """Headers beyond the limit."""
    peer.begin()
    for stream in peer.requests():
        block = fields((":status", "200"), *(("x-fat", "x" * 1000) for _ in range(100)))
        parts = [block[at : at + 16000] for at in range(0, len(block), 16000)]
        peer.send(frame(HEADERS, 0, stream, parts[0]))
        for part in parts[1:-1]:
            peer.send(frame(CONTINUATION, 0, stream, part))
        peer.send(frame(CONTINUATION, END_HEADERS, stream, parts[-1]))
        peer.send(trailers(stream))


def endless_head(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(HEADERS, 0, stream, fields((":status", "200"))))
        while True:
            peer.send(frame(CONTINUATION, 0, stream, fields(("x", "y" * 100))))
            time.sleep(0.001)


def bad_block(peer):
    peer.begin()
    for stream in peer.requests():
        peer.send(frame(HEADERS, END_HEADERS, stream, b"\xff\xff\xff\xff\xff\xff"))


def promising(peer):
    peer.begin()
    for stream in peer.requests():
        block = fields((":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a"))
        peer.send(frame(PUSH, END_HEADERS, stream, struct.pack(">I", 2) + block) + answer(stream))


def dripping(peer):
    peer.begin()
    for stream in peer.requests():
        for byte in head(stream) + frame(DATA, 0, stream, message(b"x" * 10000)):
            peer.send(bytes([byte]))
            time.sleep(0.02)


def silent(peer):
    time.sleep(10)


def mute(peer):
    """HTTP/2, and no answer."""
    peer.begin()
    for _ in peer.requests():
        pass


def gone(peer):
    """Nobody is at the end of the first connection any more, after one answer."""
    peer.begin()
    answered = False
    for stream in peer.requests():
        if peer.first and answered:
            time.sleep(10)
        peer.send(answer(stream))
        answered = True


def no_window(peer):
    """Takes no byte of a message."""
    peer.begin(struct.pack(">HI", 4, 0))
    for _ in peer.requests():
        pass


def one_stream(peer):
    """One call at a time on a connection."""
    peer.begin(struct.pack(">HI", 3, 1))
    for stream in peer.requests():
        time.sleep(0.2)
        peer.send(answer(stream))


def pinging(peer):
    peer.begin()
    for stream in peer.requests():
        for _ in range(20000):
            peer.send(frame(PING, 0, 0, b"12345678"))
        peer.send(answer(stream))


def in_pieces(peer):
    """A good answer, a byte at a time, after what may be ignored."""
    peer.begin()
    for stream in peer.requests():
        for byte in frame(0x7F, 0, 0, b"unknown") + frame(PING, 1, 0, b"12345678") + answer(stream):
            peer.send(bytes([byte]))


def unasked(peer):
    """Answers to streams that nobody has opened."""
    peer.begin()
    for stream in peer.requests():
        peer.send(answer(stream + 100))


def serve(listener, behave):
    first = True
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, first)
        first = False
        threading.Thread(target=run, args=(peer, behave), daemon=True).start()


def run(peer, behave):
    try:
        behave(peer)
    except OSError:
        pass
    peer.file.close()
    peer.sock.close()


def main():
    servers = [
        garbage, http1, closing, cut, reset, refusing, refusing_always, leaving, last_answer, angry,
        html, busy, no_status, bad_status, half, giant, odd_flag, twice, empty, fat, endless_head,
        bad_block, promising, dripping, silent, mute, gone, no_window, one_stream, pinging, in_pieces,
        unasked,
    ]
    ports = []
    for behave in servers:
        listener = socket.create_server(("127.0.0.1", 0))
        ports.append(f"{behave.__name__} {listener.getsockname()[1]}")
        threading.Thread(target=serve, args=(listener, behave), daemon=True).start()
    print(*ports, flush=True)
    sys.stdin.read()


main()
