"""HTTP/1.1 over sockets, both ends, with nothing added, merged or hidden: what a library would do for
us is what we want to see."""

import socket
import time


class Closed(Exception):
    """The other side went away in the middle."""


class Reader:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed()
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def exactly(self, size):
        while len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def to_the_end(self):
        try:
            while True:
                self.fill()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def fields(self):
        fields = []
        while line := self.line():
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        return fields

    def head(self):
        """The first line and the fields, or None at the end of the connection."""
        try:
            first = self.line()
        except (Closed, ConnectionError):
            return None
        return first, self.fields()

    def chunked(self):
        body = b""
        while True:
            size = int(self.line().split(";")[0], 16)
            if size == 0:
                return body, self.fields()
            body += self.exactly(size)
            self.line()


def value(fields, name):
    for key, text in fields:
        if key == name:
            return text
    return None


def head(first, fields):
    lines = [first] + ["%s: %s" % field for field in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send_chunks(sock, chunks, trailers, pause):
    for chunk in chunks:
        if chunk:
            sock.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            time.sleep(pause)
    tail = "".join("%s: %s\r\n" % field for field in trailers)
    sock.sendall(b"0\r\n" + tail.encode("latin-1") + b"\r\n")


class Response:
    def __init__(self, status=None, fields=(), body=b"", trailers=(), end="complete"):
        self.status = status
        self.fields = list(fields)
        self.body = body
        self.trailers = list(trailers)
        self.end = end


def exchange(address, request):
    """Sends one request on a connection of its own."""
    try:
        connection = socket.create_connection(address, timeout=request.patience)
    except ConnectionError:
        return Response(end="no connection")
    with connection as sock:
        fields = [("host", "conformance.test")]
        # Envoy adds this to every request that has none.
        fields.append(("x-forwarded-proto", "http"))
        names = {name.lower() for name, _ in request.headers}
        fields = [field for field in fields if field[0] not in names] + request.headers
        if request.chunks is not None:
            fields.append(("transfer-encoding", "chunked"))
        elif request.body is not None:
            fields.append(("content-length", str(len(request.body))))
        sock.sendall(head("%s %s HTTP/1.1" % (request.method, request.target), fields))
        try:
            if request.chunks is not None:
                send_chunks(sock, request.chunks, request.trailers, 0.05)
            elif request.body:
                sock.sendall(request.body)
        except (BrokenPipeError, ConnectionResetError):
            # It may answer before it has read all.
            pass
        if request.leaves_after is not None:
            time.sleep(request.leaves_after)
            return Response(end="client left")
        return read_response(Reader(sock), request.method)


def read_response(reader, method):
    response = Response(end="nothing")
    try:
        while True:
            got = reader.head()
            if got is None:
                return response
            status = int(got[0].split(" ")[1])
            if status >= 200:
                break
        response = Response(status, got[1], end="cut off")
        if method == "HEAD" or status in (204, 304):
            pass
        elif "chunked" in (value(got[1], "transfer-encoding") or ""):
            response.body, response.trailers = reader.chunked()
        elif (length := value(got[1], "content-length")) is not None:
            response.body = reader.exactly(int(length))
        else:
            response.body = reader.to_the_end()
        response.end = "complete"
    except (Closed, ConnectionError):
        response.body = response.body or reader.buffer
    except TimeoutError:
        response.end = "timed out"
    return response
