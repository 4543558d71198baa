"""nginx with this library, with a server for each case."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

from . import guest, http1
from .case import get
from .transcript import samples

# The line, without what nginx adds and in which callback it was.
LINE = re.compile(r"^\S+ \S+ \[(\w+)\] .*?\[proxy-wasm\] (\w+\.\d+): (.*?)"
                  r"(?: while [^,\"]+)?(?:, (?:client|context): .*)?$")
# Lines of the host's own, for the operator; Envoy's are elsewhere and in other words. Only what a plugin says
# itself is compared.
OURS = re.compile("|".join([
    r"imports that a stub answers",
    r"its code is compiled",
    r"a (?:gRPC )?callout to .* (?:failed: |is refused: )",
    r"cannot set ",
    r"the (?:header|trailer) .* is refused: ",
    r"a map of headers is refused: ",
    r"a local response (?:is ignored: |goes without its headers: |has the status )",
    r"an item of a shared queue is refused: ",
    r"buffer \d+ is not changed: ",
    r"proxy_done is ignored: ",
    r"the (?:request|response) passes without this plugin: ",
    r"response headers cannot be paused in nginx: ",
    r"a response body goes on although it is paused: ",
    r"http context \d+: paused, and nothing is left ",
    r"(?:proxy_on_\w+|_\w+|main) failed, the instance is dropped: ",
    r"\w+: the request is refused: ",
    r"the response is refused: ",
    r"the request is refused: ",
    # Its stack.
    r"error$",
    r" *\d+: +0x[0-9a-f]+ - ",
]))


def long_string(text):
    level = "=" * 5
    # The first line end of a long string is not part of it.
    return "[%s[\n%s]%s]" % (level, text, level)


def entry(case, index, plugin, guests, directory, upstreams):
    path = guests / (plugin.guest + ".wasm")
    if plugin.nginx_names:
        renamed = directory / ("%s.%d.wasm" % (case.slug, index))
        guest.with_names(path, renamed, plugin.nginx_names)
        path = renamed
    config = plugin.config if plugin.nginx_config is None else plugin.nginx_config
    names = ", ".join('%s = "127.0.0.1:%d"' % each for each in upstreams.items())
    return """
                {
                    name = "%s.%d",
                    path = "%s",
                    config = %s,
                    vm_config = %s,
                    root_id = "%s",
                    upstreams = { %s },
                    %s
                },""" % (case.slug, index, path, long_string(config),
                         long_string(plugin.vm_config), plugin.root_id, names, plugin.nginx)


def server(case, port, origin):
    return """
    server {
        listen 127.0.0.1:%d%s;
        location / {
            rewrite_by_lua_block { chains.%s:rewrite() }
            access_by_lua_block { chains.%s:access() }
            header_filter_by_lua_block { chains.%s:header_filter() }
            body_filter_by_lua_block { chains.%s:body_filter() }
            log_by_lua_block { chains.%s:log() }
            proxy_pass http://127.0.0.1:%d;
        }
    }
""" % (port, " http2" if case.http2 else "", *([case.slug] * 5), origin)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def modules():
    """Debian's nginx has the Lua module in files, OpenResty's built in."""
    names = ("ndk_http_module.so", "ngx_http_lua_module.so")
    paths = [Path("/usr/lib/nginx/modules") / name for name in names]
    return "".join("load_module %s;\n" % path for path in paths if path.exists())


class Nginx:
    name = "nginx"

    def __init__(self, binary, directory, repo, library, guests, cases, ports):
        self.directory = Path(directory)
        (self.directory / "tmp").mkdir(parents=True)
        self.log = self.directory / "error.log"
        self.binary = binary
        upstreams = {name: port for name, port in ports.items() if name != "origin"}
        self.ports = free_ports(len(cases) + 1)
        self.addresses = {case.slug: ("127.0.0.1", port) for case, port in zip(cases, self.ports)}
        def entries(case):
            each = [entry(case, index, plugin, guests, self.directory, upstreams)
                    for index, plugin in enumerate(case.plugins)]
            return "".join(reversed(each) if case.turned else each)

        chains = "".join("""
            chains.%s = assert(proxy_wasm.new_chain {%s
            })""" % (case.slug, entries(case)) for case in cases)
        servers = "".join(server(case, port, ports["origin"])
                          for case, port in zip(cases, self.ports))
        temporary = "".join("    %s_temp_path tmp/%s;\n" % (name, name)
                            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = """%(modules)s%(user)s
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events { worker_connections 1024; }
http {
%(temporary)s
    access_log off;
    # Its own pages are the same in every version.
    server_tokens off;
    lua_package_path "%(repo)s/lib/?.lua;;";
    lua_package_cpath "%(library)s/?.so;;";
    lua_shared_dict proxy_wasm 10m;
    lua_check_client_abort on;
    lua_socket_log_errors off;
    # As much as possible as Envoy does it: HTTP/1.1 to the origin, the Host as it came, bytes when they come.
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_buffering off;
    # In the worker at once, as Envoy starts its plugins before the first request.
    init_worker_by_lua_file %(directory)s/chains.lua;
%(servers)s
    server {
        listen 127.0.0.1:%(ready)d;
        location / { content_by_lua_block { ngx.say(all_started and "ready" or "not") } }
        # As src/shared/metrics.rs lays them down: value, and of histograms samples.
        location /metrics {
            content_by_lua_block {
                local dict = ngx.shared.proxy_wasm
                for _, key in ipairs(dict:get_keys(0)) do
                    if key:sub(1, 8) == "pw:m\\4\\0\\0\\0" then
                        local text = dict:get(key)
                        local kind, plugin_size = text:byte(1, 2)
                        ngx.say(text:sub(6 + plugin_size), " ", dict:get("pw:x" .. key:sub(5)), " ",
                                kind == 2 and dict:get("pw:y" .. key:sub(5)) or "-")
                    end
                end
            }
        }
    }
}
""" % {
            "modules": modules(),
            "user": "user root;" if os.getuid() == 0 else "",
            "temporary": temporary,
            "repo": repo,
            "library": library,
            "directory": self.directory,
            "servers": servers,
            "ready": self.ports[-1],
        }
        # In a file of its own: nginx takes no block of Lua as long as that.
        (self.directory / "chains.lua").write_text(
            'local proxy_wasm = require("resty.proxy_wasm")\nchains = {}\n' + chains
            + "\nall_started = true\n")
        (self.directory / "nginx.conf").write_text(config)
        self.process = None

    def start(self, patience=60):
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(
                [self.binary, "-p", str(self.directory), "-e", "error.log", "-c", "nginx.conf"],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                # The worker answers when it has started every plugin.
                answer = http1.exchange(("127.0.0.1", self.ports[-1]), get(patience=patience))
                if answer.status is not None:
                    return answer.body == b"ready\n"
            except OSError:
                pass
            time.sleep(0.05)
        return False

    def metrics(self):
        """What plugins have defined, by name: values, and of histograms what `samples` makes of them."""
        answer = http1.exchange(("127.0.0.1", self.ports[-1]), get("/metrics"))
        found = (line.rsplit(" ", 2) for line in answer.body.decode().splitlines())
        return {name: int(value) if count == "-" else samples(count, value)
                for name, value, count in found}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log_lines(self):
        text = self.log.read_bytes().decode("latin-1") if self.log.exists() else ""
        for line in text.split("\n"):
            if (found := LINE.match(line)) and not OURS.match(found.group(3)):
                level, name, message = found.groups()
                yield name, level, message

    def tail(self):
        text = (self.directory / "output").read_text(errors="replace")
        text += self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.split("\n")[-15:])
