"""Plugins that others wrote, and other languages."""

from harness.case import ANY, Case, get, post, reply

EVEN = {"*": reply(200, body=b"\x02")}
ODD = {"*": reply(200, body=b"\x03")}


def published(version):
    """The Rust SDK's own examples."""
    name = "sdk_%s_" % version
    said = "Rust SDK %s: " % version.replace("_", ".")
    return [
        Case(
            said + "http_headers",
            covers=["proxy_get_header_map_pairs", "proxy_send_local_response"],
            guest=name + "http_headers",
            requests=[get("/"), get("/hello")],
            expect=["Hello, World!"],
        ),
        Case(
            said + "http_body",
            covers=["proxy_set_buffer_bytes"],
            guest=name + "http_body",
            origin=reply(headers={"content-type": "text/plain"}, body="this is a secret"),
            expect=["redacted"],
        ),
        Case(
            said + "http_body, nothing to hide",
            covers=["proxy_on_response_body"],
            guest=name + "http_body",
            origin=reply(headers={"content-type": "text/plain"}, chunks=["nothing ", "here"]),
            expect=["nothing here"],
        ),
        Case(
            said + "http_config",
            covers=["proxy_on_configure"],
            guest=name + "http_config",
            config="configured value",
            expect=["response header custom-header: configured value"],
        ),
        Case(
            said + "http_auth_random, granted",
            covers=["proxy_http_call",
                    "proxy_continue_request" if version == "0_1_4" else "proxy_continue_stream"],
            guest=name + "http_auth_random",
            callout=EVEN,
            expect=["response header powered-by: proxy-wasm"],
        ),
        Case(
            said + "http_auth_random, forbidden",
            covers=["proxy_http_call"],
            guest=name + "http_auth_random",
            callout=ODD,
            statuses=[403],
            expect=["Access forbidden"],
        ),
        Case(
            said + "hello_world",
            covers=["proxy_on_vm_start", "proxy_set_tick_period_milliseconds"],
            guest=name + "hello_world",
            # It has no contexts for requests, and panics when it is asked for one. And ticks.
            statuses=[503],
            ignore=["your lucky number is"],
            expect=["Hello, World!"],
            differs=["A new instance after a trap", "A trap in the request is answered"],
        ),
    ]


# Envoy does not say whose lines these are, before there is a plugin.
EARLY = r"initialized$|(?:_initialize|_start|main) ran$"

CASES = published("0_1_4") + published("0_2_0") + [
    Case(
        "AssemblyScript, new SDK",
        covers=["proxy_on_request_headers", "proxy_on_response_headers", "proxy_on_log"],
        guest="as_gcore",
        config="a configuration",
        expect=["response header x-as: a configuration"],
        differs="What a plugin prints",
    ),
    Case(
        "AssemblyScript, new SDK, throws",
        covers=["proxy_on_request_headers"],
        guest="as_gcore",
        config="a configuration",
        requests=[get("/throw")],
        statuses=[503],
        expect=["response: "],
        differs="A trap in the request is answered",
    ),
    Case(
        "AssemblyScript, old SDK",
        covers=["proxy_on_request_headers"],
        guest="as_solo",
        config="a configuration",
        expect=["response header x-as-old: yes"],
    ),
    Case(
        "AssemblyScript, old SDK, with a root id",
        covers=["proxy_get_property"],
        guest="as_solo",
        config="a configuration",
        root_id="named",
        expect=["response header x-as-old: yes"],
    ),
    Case(
        "C",
        covers=["proxy_add_header_map_value", "proxy_send_local_response"],
        guest="c_headers",
        ignore=[EARLY],
        config="configured",
        requests=[get("/"), get("/c-blocked")],
        statuses=[200, 403],
        expect=["response 1 header x-c: configured"],
    ),
    Case(
        "Go",
        covers=["proxy_on_request_headers", "proxy_send_local_response"],
        guest="go_native",
        ignore=[EARLY],
        config="configured",
        requests=[get("/"), get("/go-blocked"), get("/go-garbage")],
        statuses=[200, 403, 200],
        expect=["no, says Go"],
    ),
    Case(
        "the demo",
        covers=["proxy_on_request_headers"],
        guest="rust_demo",
        config='{"greeting": "hello"}',
        expect=["x-proxy-wasm"],
    ),
    Case(
        "WAT, ABI 0.2.0",
        covers=["proxy_on_request_headers"],
        guest="abi_0_2_0",
        expect=["log "],
    ),
    Case(
        "WAT, ABI 0.1.0 with three parameters",
        covers=["proxy_on_request_headers"],
        guest="abi_0_1_0_three",
        refused=True,
        differs="What Envoy refuses to load",
    ),
    Case(
        "malformed maps",
        covers=["proxy_set_header_map_pairs", "proxy_http_call"],
        guest="maps",
        statuses=ANY,
        expect=["log "],
        differs="A malformed map of headers",
    ),
    Case(
        "hostile pointers",
        covers=["proxy_get_header_map_value"],
        guest="pointers",
        expect=["log "],
        differs="Addresses are looked at first",
    ),
    Case(
        "an allocator that grows the memory",
        covers=["proxy_get_header_map_value"],
        guest="allocator_grows",
        expect=["response: 200"],
    ),
    Case(
        "malloc",
        covers=["proxy_get_header_map_value"],
        guest="allocator_malloc",
        expect=["response: 200"],
    ),
    Case(
        "an allocator without memory",
        covers=["proxy_get_header_map_value"],
        guest="allocator_null",
        statuses=ANY,
        expect=["response: "],
        differs="Addresses are looked at first",
    ),
    Case(
        "_initialize and main",
        covers=["proxy_on_request_headers"],
        guest="entry_initialize",
        ignore=[EARLY],
        expect=["response: 200"],
    ),
    Case(
        "_start",
        covers=["proxy_on_request_headers"],
        guest="entry_start",
        ignore=[EARLY],
        expect=["response: 200"],
    ),
    Case(
        "_initialize and _start",
        covers=["proxy_on_request_headers"],
        guest="entry_both",
        ignore=[EARLY],
        expect=["response: 200"],
    ),
]
