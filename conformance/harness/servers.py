"""The servers behind the proxies: the origin, and the one that callouts go to. Each proxy has a pair of
its own, so that what arrives is known to come from it."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import http1


SERVER = Path(__file__).resolve().parents[2] / "t" / "lib" / "grpc_server.py"


class GrpcServer:
    """The gRPC server of the tests; it ends with whoever started it."""

    def __init__(self):
        environment = dict(os.environ, PYTHONPATH=os.environ.get("PROXY_WASM_GRPCIO", ""),
                           GRPC_VERBOSITY="NONE")
        self.process = subprocess.Popen([sys.executable, str(SERVER)], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        said = self.process.stdout.readline().split()
        if not said:
            raise SystemExit("no gRPC server: run scripts/deps.sh conformance")
        self.port = int(said[0])


class Server:
    """Answers as `answer(path)` says, and keeps what it received."""

    def __init__(self):
        self.received = []
        self.answer = None
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = http1.Reader(sock)
        try:
            while (got := reader.head()) is not None:
                self.one(sock, reader, *got)
        except (http1.Closed, OSError):
            pass
        finally:
            sock.close()

    def one(self, sock, reader, first, fields):
        body, trailers = b"", []
        if "chunked" in (http1.value(fields, "transfer-encoding") or ""):
            body, trailers = reader.chunked()
        elif (length := http1.value(fields, "content-length")) is not None:
            body = reader.exactly(int(length))
        method, target, _ = first.split(" ", 2)
        with self.lock:
            self.received.append((method, target, fields, body, trailers))
            reply = self.answer(target.split("?")[0])
        time.sleep(reply.delay)
        if reply.hangs_up:
            raise http1.Closed()
        fields = list(reply.headers)
        bodiless = method == "HEAD" or reply.status in (204, 304)
        if reply.chunks is not None:
            fields.append(("transfer-encoding", "chunked"))
        elif not bodiless and http1.value(fields, "content-length") is None:
            fields.append(("content-length", str(len(reply.body))))
        sock.sendall(http1.head("HTTP/1.1 %d Conformance" % reply.status, fields))
        if bodiless:
            return
        if reply.chunks is not None:
            http1.send_chunks(sock, reply.chunks, reply.trailers, reply.between)
        else:
            sock.sendall(reply.body)

    def take(self):
        with self.lock:
            received, self.received = self.received, []
            return received
