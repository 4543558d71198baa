"""An HTTP/2 client: curl, which Python has nothing like of its own."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from .http1 import Response

# What curl's exit codes say of an answer.
TIMED_OUT, NOTHING = 28, 52


def is_available():
    """True where there is a curl that speaks HTTP/2."""
    if not shutil.which("curl"):
        return False
    said = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
    return "HTTP2" in said.split()


def exchange(address, request):
    """Sends one request on a connection of its own, without TLS and without asking first."""
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        fields = [("host", "conformance.test"), ("x-forwarded-proto", "http")] + request.headers
        command = ["curl", "--silent", "--http2-prior-knowledge", "--path-as-is",
                   "--max-time", str(request.patience), "--dump-header", directory / "head",
                   "--output", directory / "body", "--header", "user-agent:", "--header", "accept:"]
        command += ["--head"] if request.method == "HEAD" else ["--request", request.method]
        for name, value in fields:
            command += ["--header", "%s: %s" % (name, value)]
        body = request.body
        if request.chunks is not None:
            # Without a length, as nothing but the end of the stream says it.
            body = b"".join(request.chunks)
            command += ["--upload-file", "-"]
        elif body is not None:
            command += ["--data-binary", "@-", "--header", "content-type:"]
        command.append("http://%s:%d%s" % (*address, request.target))
        code = subprocess.run(command, input=body or b"", capture_output=True).returncode
        head = read(directory / "head").decode("latin-1").split("\r\n")
        if not head[0].startswith("HTTP/2 "):
            return Response(end="timed out" if code == TIMED_OUT else "nothing")
        response = Response(int(head[0].split(" ")[1]), body=read(directory / "body"),
                            end={0: "complete", TIMED_OUT: "timed out"}.get(code, "cut off"))
        # Trailers come behind the empty line.
        kept = response.fields
        for line in head[1:]:
            if not line:
                kept = response.trailers
                continue
            name, value = line.split(":", 1)
            kept.append((name.lower(), value.strip()))
        return response


def read(path):
    return path.read_bytes() if path.exists() else b""
