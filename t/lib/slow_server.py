"""Servers that are slow on purpose, or answer before they have the request, each
on a port of its own.

Prints a line "NAME PORT…"; ends when its standard input does. Each is a function
that gets a connection and what TLS needs.
"""

import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000


class Tls:
    """TLS between memory and a connection, so that its records can be cut."""

    def __init__(self, sock, context):
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def until(self, work, send):
        """Does it with what comes, and sends what there is to send."""
        while True:
            try:
                done = work()
                send(self.sock, self.outgoing.read())
                return done
            except ssl.SSLWantReadError:
                send(self.sock, self.outgoing.read())
                data = self.sock.recv(16384)
                if not data:
                    raise OSError("closed") from None
                self.incoming.write(data)


def at_once(sock, data):
    sock.sendall(data)


def drop_by_drop(sock, data):
    for byte in data:
        sock.sendall(bytes([byte]))
        time.sleep(0.1)


def over_tls(sock, context, answer, send):
    """Answers in one record as soon as a piece of the request is there."""
    tls = Tls(sock, context)
    tls.until(tls.tls.do_handshake, at_once)
    tls.until(lambda: tls.tls.read(16384), at_once)
    tls.until(lambda: tls.tls.write(answer), send)


def record(sock, context):
    over_tls(sock, context, ANSWER, drop_by_drop)


def handshake(sock, context):
    tls = Tls(sock, context)
    tls.until(tls.tls.do_handshake, drop_by_drop)


EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly"


def early(sock, _):
    """The close of what is not read is a reset."""
    sock.recv(1000)
    sock.sendall(EARLY)


def early_open(sock, context):
    early(sock, context)
    time.sleep(20)


def early_tls(sock, context):
    over_tls(sock, context, EARLY, at_once)


def early_tls_open(sock, context):
    early_tls(sock, context)
    time.sleep(20)


def sips(sock, _):
    """Takes a little of the request, again and again."""
    while sock.recv(65536):
        time.sleep(0.2)


SERVERS = (record, handshake, early, early_open, early_tls, early_tls_open, sips)


def serve(function, listener, context):
    def one(sock):
        try:
            function(sock, context)
        except OSError:
            pass
        finally:
            sock.close()

    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(sock,), daemon=True).start()


def certificate():
    """Of its own."""
    with tempfile.TemporaryDirectory() as folder:
        key, pem = f"{folder}/key.pem", f"{folder}/cert.pem"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=a.example"
        subprocess.run([*command.split(), "-keyout", key, "-out", pem], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        return context


def main():
    context = certificate()
    names = []
    for function in SERVERS:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        names.append(f"{function.__name__} {listener.getsockname()[1]}")
        threading.Thread(target=serve, args=(function, listener, context), daemon=True).start()
    print(*names, flush=True)
    sys.stdin.read()


main()
