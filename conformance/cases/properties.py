"""Properties."""

from harness.case import Case, Plugin, get, post, reply

NANOSECONDS = (r"(= OK )0x[0-9a-f]+", r"\1NUMBER")


def each(callback, *names):
    return "".join("%s get_property %s\n" % (callback, name) for name in names)


CASES = [
    Case(
        "of a request, as text",
        covers=["proxy_get_property"],
        config=each("request_headers", "request.path", "request.url_path", "request.host",
                    "request.scheme", "request.method", "request.referer", "request.useragent",
                    "request.id", "request.protocol", "request.query"),
        requests=[get("/a/b?c=d", {"referer": "http://from/", "user-agent": "me/1",
                                   "x-request-id": "the-id"})],
        expect=["/a/b"],
    ),
    Case(
        "of a request, what is not there",
        covers=["proxy_get_property"],
        config=each("request_headers", "request.referer", "request.useragent", "request.query",
                    "request.id", "request.nonsense", "nonsense.too", "request.headers.x-none"),
        mask=[(r"[0-9a-f]{32}", "ID")],
        expect=["get_property"],
        differs="What nginx does not know is not there",
    ),
    Case(
        "of a request, as numbers",
        covers=["proxy_get_property"],
        config="request_body if_eos false pause\n"
               + each("request_body if_eos true", "request.size"),
        requests=[post("/", "twelve bytes")],
        expect=["request.size"],
    ),
    Case(
        "times of a request are there",
        covers=["proxy_get_property"],
        config=each("request_headers", "request.time") + each("log", "request.duration"),
        mask=[(r"get_property\((request.\w+)\) = OK .*", r"get_property(\1) = OK SOMETHING")],
        expect=["SOMETHING"],
    ),
    Case(
        "the total size of a request",
        covers=["proxy_get_property"],
        config=each("log", "request.total_size"),
        requests=[post("/", "twelve bytes")],
        expect=["request.total_size"],
        differs="Sizes are those on the wire",
    ),
    Case(
        "headers",
        covers=["proxy_get_property"],
        config=each("request_headers", "request.headers.x-in", "request.headers.X-In",
                    "request.headers.:path", "request.headers.x-none")
        + each("response_headers", "response.headers.x-from"),
        requests=[get("/", {"x-in": "in"})],
        origin=reply(headers={"x-from": "origin"}),
        expect=['"in"', '"origin"'],
    ),
    Case(
        "several headers of one name",
        covers=["proxy_get_property"],
        config=each("request_headers", "request.headers.x-two", "request.headers_bytes")
        + each("response_headers", "response.headers.x-two", "response.headers.set-cookie"),
        requests=[get("/", [("x-two", "a"), ("x-two", "b")])],
        origin=reply(headers=[("x-two", "c"), ("x-two", "d"), ("set-cookie", "e=1"), ("set-cookie", "f=2")]),
        expect=['"a,b"', '"c,d"', '"e=1,f=2"'],
    ),
    Case(
        "whole maps",
        covers=["proxy_get_property"],
        config=each("request_headers", "response.headers", "response.trailers", "request.headers")
        + each("response_headers", "response.headers"),
        # What is in them has another order each time; how much comes first.
        mask=[(r"(0x0[1-9]000000).*", r"\1 PAIRS")],
        expect=["0x00000000", "0x05000000 PAIRS", "0x03000000 PAIRS"],
    ),
    Case(
        "of a response",
        covers=["proxy_get_property"],
        config=each("request_headers", "response.code")
        + each("response_headers", "response.code")
        + each("log", "response.code", "response.code_details", "response.flags"),
        expect=["response.code"],
    ),
    Case(
        "the size of a response",
        covers=["proxy_get_property"],
        config=each("log", "response.size"),
        origin=reply(body="twelve bytes"),
        expect=["response.size"],
        differs="Sizes are those on the wire",
    ),
    Case(
        "of the connection",
        covers=["proxy_get_property"],
        config=each("request_headers", "source.address", "source.port", "destination.address",
                    "destination.port", "connection.mtls", "connection.tls_version",
                    "connection.requested_server_name", "connection.subject_peer_certificate"),
        mask=[(r"(source.address\) = OK \"127.0.0.1):\d+", r"\1:PORT"),
              (r"((?:source|destination).port\) = OK) .*", r"\1 PORT")],
        expect=["127.0.0.1"],
    ),
    Case(
        "of the upstream",
        covers=["proxy_get_property"],
        config=each("request_headers", "upstream.address")
        + each("response_headers", "upstream.address", "upstream.port"),
        mask=[(r"(upstream.port\) = OK) .*", r"\1 PORT")],
        expect=["127.0.0.1"],
    ),
    Case(
        "of an upstream, beyond its address",
        covers=["proxy_get_property"],
        config=each("request_headers", "upstream.locality", "upstream.transport_failure_reason",
                    "upstream.request_attempt_count", "upstream.cx_pool_ready_duration")
        + each("log", "upstream.locality", "upstream.transport_failure_reason",
               "upstream.request_attempt_count", "upstream.cx_pool_ready_duration",
               "upstream.tls_version", "upstream.subject_peer_certificate",
               "upstream_host_metadata"),
        mask=[(r"(duration\) = OK) .*", r"\1 SOMETHING")],
        expect=["SOMETHING"],
    ),
    Case(
        "of an upstream, what nginx does not know",
        covers=["proxy_get_property"],
        config=each("log", "upstream.local_address", "upstream.num_endpoints",
                    "xds.upstream_host_metadata", "xds.cluster_name", "upstream_filter_state"),
        mask=[(r"(local_address\) = OK) .*", r"\1 ADDRESS")],
        expect=["get_property"],
        differs="What nginx does not know is not there",
    ),
    Case(
        "of the proxy",
        covers=["proxy_get_property"],
        config=each("request_headers", "xds.node.id", "xds.node.cluster", "xds.node.metadata",
                    "xds.node.metadata.NAME", "xds.node.locality", "xds.node.locality.zone",
                    "xds.node.nonsense", "xds.cluster_metadata",
                    "xds.cluster_metadata.filter_metadata",
                    "xds.cluster_metadata.filter_metadata.x", "xds.route_name",
                    "xds.route_metadata", "xds.virtual_host_metadata", "xds.filter_chain_name",
                    "xds.listener_direction", "xds.listener_metadata",
                    "xds.listener_metadata.typed_filter_metadata", "metadata",
                    "metadata.filter_metadata", "metadata.filter_metadata.x",
                    "node", "cluster_name", "listener_direction", "route_name")
        + each("configure", "xds.node.id", "xds.route_name", "metadata"),
        expect=["get_property"],
    ),
    Case(
        "of the proxy, its names",
        covers=["proxy_get_property"],
        config=each("request_headers", "xds.node.user_agent_name", "xds.virtual_host_name"),
        expect=["get_property"],
        differs="`xds.node` says nginx",
    ),
    Case(
        "of the filter state",
        covers=["proxy_get_property", "proxy_set_property"],
        config="""
request_headers set_property mine "my value"
request_headers get_property_raw "filter_state\\0wasm.mine"
request_headers get_property_raw "filter_state\\0mine"
request_headers get_property_raw "upstream_filter_state\\0wasm.mine"
""",
        expect=['"my value"'],
    ),
    Case(
        "of the plugin",
        covers=["proxy_get_property"],
        root_id="the root",
        config=each("request_headers", "plugin_root_id") + each("configure", "plugin_root_id"),
        expect=["the root"],
    ),
    Case(
        "the plugin's name",
        covers=["proxy_get_property"],
        config=each("request_headers", "plugin_name"),
        expect=["plugin_name"],
    ),
    Case(
        "the VM's id",
        covers=["proxy_get_property"],
        config=each("request_headers", "plugin_vm_id"),
        # Envoy's side always has one: envoy.py.
        nginx='vm_id = "properties__the_VM_s_id.0",',
        expect=["plugin_vm_id"],
    ),
    Case(
        "of a plugin's own",
        covers=["proxy_set_property", "proxy_get_property"],
        config="""
request_headers set_property mine "my value"
request_headers get_property mine
response_headers get_property mine
log get_property mine
""",
        expect=['"my value"'],
    ),
    Case(
        "of a plugin's own, with a dot",
        covers=["proxy_set_property", "proxy_get_property"],
        config="""
request_headers set_property my.own "my value"
request_headers get_property my.own
request_headers get_property my
""",
        expect=["set_property"],
        differs="What a plugin sets is kept",
    ),
    Case(
        "of another plugin's",
        covers=["proxy_set_property", "proxy_get_property"],
        plugins=[
            Plugin(
                'request_headers set_property theirs "their value"\n'),
            Plugin(
                "request_headers get_property theirs\n"),
        ],
        expect=['"their value"'],
    ),
    Case(
        "are set twice",
        covers=["proxy_set_property"],
        config="""
request_headers set_property mine one
request_headers set_property mine two
request_headers get_property mine
""",
        expect=["get_property"],
    ),
    Case(
        "what cannot be set",
        covers=["proxy_set_property"],
        config="""
request_headers proxy_set_property "request\\0path" "/new"
request_headers get_property request.path
configure proxy_set_property "mine" "value"
configure get_property mine
""",
        expect=["proxy_set_property"],
        differs="What a plugin cannot change",
    ),
    Case(
        "odd paths",
        covers=["proxy_get_property"],
        config="""
request_headers proxy_get_property "" **
request_headers proxy_get_property "request" **
request_headers proxy_get_property "request\\0" **
request_headers proxy_get_property "request\\0path\\0" **
request_headers proxy_get_property "\\0request\\0path" **
request_headers proxy_get_property "request.path" **
request_headers proxy_get_property 0xfffffff0 100 * *
""",
        mask=[(r"(\"request\" \*\*\) = OK) .*", r"\1 SOMETHING")],
        expect=["proxy_get_property"],
        differs="Variables of nginx",
    ),
    Case(
        "without a request",
        covers=["proxy_get_property"],
        config=each("configure", "request.path", "response.code", "source.address",
                    "plugin_root_id"),
        expect=["get_property"],
    ),
]
