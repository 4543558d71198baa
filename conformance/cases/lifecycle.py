"""What is called when, and what happens when a plugin fails."""

from harness.case import ANY, Case, Plugin, get, post, reply

COUNT = (r"num_headers=\d+", "num_headers=N")

CASES = [
    Case(
        "a plugin is started",
        covers=["proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure"],
        vm_config="""root_create log info "root created"
vm_start log info "vm started"
vm_start echo_params
""",
        config="""
configure log info "configured"
configure echo_params
""",
        expect=["root created", "vm started", "configured"],
    ),
    Case(
        "a configuration is validated",
        covers=["proxy_validate_configuration"],
        guest="validate_configuration",
        config="a configuration",
        expect=["configured"],
        differs="`proxy_validate_configuration` is called",
    ),
    Case(
        "a request from its beginning",
        covers=["proxy_on_context_create", "proxy_on_request_headers", "proxy_on_request_body",
                "proxy_on_response_headers", "proxy_on_response_body"],
        config="""
context_create log info created
request_headers echo_params
request_body if_eos false pause
request_body if_eos true echo_params
response_headers log info "response headers"
response_body if_eos false pause
response_body if_eos true echo_params
""",
        requests=[get(), post("/", "body")],
        expect=["created"],
    ),
    Case(
        "a request's end",
        covers=["proxy_on_log", "proxy_on_done", "proxy_on_delete"],
        config="""
log log info "log"
done log info "done"
delete log info "delete"
""",
        expect=["log info: log", "log info: done", "log info: delete"],
        differs="The order of the end is",
    ),
    Case(
        "the end of two requests, each in itself",
        covers=["proxy_on_log"],
        config="""
request_headers save path get_property request.path
log if_property request.path /one log info "end of one"
log if_property request.path /two log info "end of two"
""",
        requests=[get("/one"), get("/two")],
        expect=["end of one", "end of two"],
    ),
    Case(
        "properties and headers at the end",
        covers=["proxy_on_log"],
        config="""
log get_property response.code
log get_header response :status
log get_header response x-from
""",
        origin=reply(404, headers={"x-from": "origin"}),
        statuses=[404],
        expect=["404"],
    ),
    Case(
        "an origin that hangs up",
        covers=["proxy_on_response_headers", "proxy_on_log"],
        config="""
response_headers get_header response :status
log get_header response :status
""",
        origin=reply(hangs_up=True),
        mask=[(r"nginx/[0-9.]+", "nginx")],
        statuses=ANY,
        expect=["get_header"],
        differs="A failed upstream is nginx's to answer for",
    ),
    Case(
        "a response of many headers",
        covers=["proxy_get_header_map_pairs"],
        config="""
response_headers get_header response x-header-89
""",
        origin=reply(headers=[("x-header-%d" % i, "value %d" % i) for i in range(90)]),
        statuses=ANY,
        expect=["value 89"],
    ),
    Case(
        "two plugins and a request",
        covers=["proxy_on_request_headers"],
        plugins=[
            Plugin("""
request_headers log info "request, first"
request_headers add_header request x-order first
"""),
            Plugin("""
request_headers log info "request, second"
request_headers add_header request x-order second
request_headers get_header request x-order
"""),
        ],
        expect=["request, first"],
    ),
    Case(
        "two plugins and a response",
        covers=["proxy_on_response_headers"],
        plugins=[
            Plugin('response_headers log info "response, first"\n'),
            Plugin('response_headers log info "response, second"\n'),
        ],
        expect=["response, first"],
        differs="A chain runs in the order of its list",
    ),
    Case(
        "the first plugin answers, the second is not asked",
        covers=["proxy_send_local_response"],
        plugins=[
            Plugin('request_headers local_response 403 "no"\n'),
            Plugin('request_headers log info "asked"\n'),
        ],
        statuses=[403],
        expect=['body: "no"'],
    ),
    Case(
        "a trap at the request's headers",
        covers=["proxy_on_request_headers"],
        guest="trap_on_request_headers",
        requests=[get()],
        statuses=[503],
        expect=["response: 503"],
        differs="A trap in the request is answered",
    ),
    Case(
        "a trap at the response's headers",
        covers=["proxy_on_response_headers"],
        guest="trap_on_response_headers",
        statuses=ANY,
        expect=["response: "],
    ),
    Case(
        "a trap at the request's body",
        covers=["proxy_on_request_body"],
        guest="trap_on_request_body",
        requests=[post("/", "hello")],
        statuses=[503],
        expect=["response: 503"],
        differs="A trap in the request is answered",
    ),
    Case(
        "a trap at the response's body",
        covers=["proxy_on_response_body"],
        guest="trap_on_response_body",
        statuses=ANY,
        # In nginx the headers may be on their way, or not yet.
        mask=[(r"^response: (?:200, cut off|None, nothing)$", "response: too early an end")],
        ignore=["^response header"],
        expect=["too early an end"],
    ),
    Case(
        "a trap at the body of a response of no length",
        covers=["proxy_on_response_body"],
        guest="trap_on_response_body",
        origin=reply(headers={"content-type": "text/plain"}, chunks=["one", "two"]),
        statuses=ANY,
        # As above.
        mask=[(r"^response: (?:200, cut off|None, nothing)$", "response: too early an end")],
        ignore=["^response header"],
        expect=["too early an end"],
    ),
    Case(
        "a trap at the log",
        covers=["proxy_on_log"],
        guest="trap_on_log",
        expect=["response: 200"],
    ),
    Case(
        "a trap, then another request",
        covers=["proxy_on_request_headers"],
        config="""
request_headers if_header x-trap yes trap
request_headers log info "alive"
""",
        requests=[get(), get("/", {"x-trap": "yes"}), get()],
        statuses=ANY,
        expect=["alive"],
        differs=["A new instance after a trap", "A trap in the request is answered"],
    ),
    Case(
        "a trap, fail open",
        covers=["proxy_on_request_headers"],
        config="""
request_headers trap
""",
        envoy={"fail_open": True},
        nginx='fail = "open",',
        expect=["response: 200"],
    ),
    Case(
        "a configuration that is refused",
        covers=["proxy_on_configure"],
        config="configure return false\n",
        refused=True,
    ),
    Case(
        "a VM that does not start",
        covers=["proxy_on_vm_start"],
        vm_config="vm_start return false\n",
        refused=True,
    ),
    Case(
        "a trap at the configuration",
        covers=["proxy_on_configure"],
        guest="trap_on_configure",
        refused=True,
    ),
    Case(
        "a module without an ABI version",
        covers=["proxy_on_configure"],
        guest="abi_none",
        refused=True,
    ),
    Case(
        "a module of an unknown ABI version",
        covers=["proxy_on_configure"],
        guest="abi_unknown",
        refused=True,
    ),
    Case(
        "a plugin without any callback",
        covers=["proxy_on_request_headers"],
        guest="export_nothing",
        expect=["response: 200"],
    ),
    Case(
        "action 2",
        covers=["proxy_on_request_headers"],
        config="""
request_headers action 2
request_headers log info "goes on"
""",
        statuses=ANY,
        expect=["goes on"],
    ),
]
