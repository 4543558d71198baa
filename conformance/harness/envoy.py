"""Envoy, with a listener for each case."""

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

from . import guest
from .transcript import samples

TYPE = "type.googleapis.com/"
STRING = TYPE + "google.protobuf.StringValue"
HCM = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = TYPE + "envoy.extensions.filters.http.router.v3.Router"
WASM = TYPE + "envoy.extensions.filters.http.wasm.v3.Wasm"

# Level, thread, message, which may have several lines. Before its colon are the VM's id, the root id, or
# the plugin's name and both, as the case may be; id and name are the same here.
START = "\x1e"
LOG_FORMAT = START + "%l|%t|%v"
LINE = re.compile(r"(\w+)\|(\d+)\|wasm log ([^:]*): (.*)", re.S)
NAME = re.compile(r"\b\w+\.\d+\b")

UPSTREAM_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    http1 = {"http_protocol_options": {"enable_trailers": True}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {UPSTREAM_OPTIONS: {
            "@type": TYPE + UPSTREAM_OPTIONS,
            "explicit_http_config": {"http2_protocol_options": {}} if name == "grpc" else http1,
        }},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    }


def wasm_filter(case, index, plugin, guests):
    name = "%s.%d" % (case.slug, index)
    config = {
        "name": name,
        "root_id": plugin.root_id,
        # A VM of its own for each: no case can disturb another.
        "vm_config": {
            "vm_id": name,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(guests / (plugin.guest + ".wasm"))}},
        },
    }
    if plugin.vm_config:
        config["vm_config"]["configuration"] = {"@type": STRING, "value": plugin.vm_config}
    if plugin.config:
        config["configuration"] = {"@type": STRING, "value": plugin.config}
    config.update(plugin.envoy)
    return {"name": "wasm." + name, "typed_config": {"@type": WASM, "config": config}}


def listener(case, guests):
    filters = [wasm_filter(case, index, plugin, guests)
               for index, plugin in enumerate(case.plugins)]
    filters.append({
        "name": "router",
        # No x-envoy-* in what goes out.
        "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True},
    })
    manager = {
        "@type": HCM,
        "stat_prefix": case.slug,
        "codec_type": "HTTP2" if case.http2 else "HTTP1",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": {"enable_trailers": True},
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}],
        }]},
        "http_filters": filters,
    }
    return {
        "name": case.slug,
        "address": address(0),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


class Envoy:
    name = "envoy"

    def __init__(self, binary, directory, guests, cases, ports):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.log = self.directory / "envoy.log"
        self.admin_file = self.directory / "admin"
        for name in {plugin.guest + ".wasm" for case in cases for plugin in case.plugins}:
            guest.for_envoy(guests / name, self.directory / name)
        guests = self.directory
        clusters = [cluster(name, port) for name, port in ports.items()]
        config = {
            "admin": {"address": address(0)},
            "static_resources": {
                "listeners": [listener(case, guests) for case in cases],
                "clusters": clusters,
            },
            "stats_flush_interval": "1s",
        }
        path = self.directory / "envoy.json"
        path.write_text(json.dumps(config, indent=1))
        self.command = [binary, "-c", str(path), "--concurrency", "1", "--disable-hot-restart",
                        "--log-level", "info", "--component-log-level", "wasm:info",
                        "--log-format", LOG_FORMAT,
                        "--admin-address-path", str(self.admin_file)]
        self.process = None
        self.addresses = {}

    def start(self, patience=60):
        """Whether it came up."""
        # Its standard error, since it writes a file only every so often.
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                if self.admin("/ready").strip() == "LIVE":
                    self.find_listeners()
                    return True
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        return False

    def admin(self, path):
        where = self.admin_file.read_text().strip()
        if not where:
            raise ValueError("no admin address yet")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open("http://%s%s" % (where, path), timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def find_listeners(self):
        listeners = json.loads(self.admin("/listeners?format=json"))
        for each in listeners["listener_statuses"]:
            where = each["local_address"]["socket_address"]
            self.addresses[each["name"]] = (where["address"], where["port_value"])

    def metrics(self):
        """What plugins have defined, by name: values, and of histograms what `samples` makes of them."""
        lines = self.admin("/stats?filter=^wasmcustom").splitlines()
        found = (re.match(r"wasmcustom\.(.+): (\d+)$", line) for line in lines)
        metrics = {each.group(1): int(each.group(2)) for each in found if each}
        # Samples are added up at each flush.
        time.sleep(1.2)
        text = self.admin("/stats/prometheus?filter=^wasmcustom")
        for name, value in re.findall(r"^(\w+)_count\{.*\} (\S+)$", text, re.M):
            total = re.search(r"^%s_sum\{.*\} (\S+)$" % name, text, re.M)
            metrics[name] = samples(value, total.group(1))
        return metrics

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log_lines(self):
        """(plugin's name, level, text) of each line, in order. What the main thread says is left out: it
        starts every plugin as well, and once more for a trial."""
        text = self.log.read_bytes().decode("latin-1") if self.log.exists() else ""
        entries = text.split(START)[1:]
        main = entries[0].split("|")[1] if entries else None
        for each in entries:
            if (found := LINE.match(each.rstrip("\n"))) and found.group(2) != main:
                level, _, who, message = found.groups()
                if name := NAME.search(who):
                    yield name.group(), level, message

    def tail(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.split("\n")[-15:])
