"""Shared data and shared queues."""

from harness.case import Case, get

CASES = [
    Case(
        "data is set and read",
        covers=["proxy_set_shared_data", "proxy_get_shared_data"],
        config="""
request_headers shared_get key
request_headers shared_set key value
request_headers shared_get key
""",
        mask=[(r"(shared_get.*= OK .*) \d+$", r"\1 CAS")],
        requests=[get(), get()],
        expect=['"value"'],
    ),
    Case(
        "data, compared and swapped",
        covers=["proxy_set_shared_data", "proxy_get_shared_data"],
        config="""
request_headers shared_set key one
request_headers shared_get key
request_headers shared_set key two cas
request_headers shared_set key three cas
request_headers shared_get key
request_headers shared_set key four 0
request_headers shared_get key
""",
        mask=[(r"(shared_get.*= OK .*) \d+$", r"\1 CAS")],
        expect=["CAS_MISMATCH"],
    ),
    Case(
        "a number for a key that is not there",
        covers=["proxy_set_shared_data"],
        config="""
request_headers shared_set absent value 77
request_headers shared_get absent
""",
        mask=[(r"(shared_get.*= OK .*) \d+$", r"\1 CAS")],
        expect=["shared_set"],
    ),
    Case(
        "empty data, and keys of any bytes",
        covers=["proxy_set_shared_data", "proxy_get_shared_data"],
        config="""
request_headers shared_set key ""
request_headers shared_get key
request_headers shared_set "a\\0b\\xff" "c\\0d\\xff"
request_headers shared_get "a\\0b\\xff"
request_headers shared_get "a"
""",
        mask=[(r"(shared_get.*= OK .*) \d+$", r"\1 CAS")],
        expect=["shared_get"],
    ),
    Case(
        "data from the start of the plugin",
        covers=["proxy_set_shared_data"],
        config="""
configure shared_set key "from configure"
request_headers shared_get key
""",
        mask=[(r"(shared_get.*= OK .*) \d+$", r"\1 CAS")],
        expect=["from configure"],
    ),
    Case(
        "a queue",
        covers=["proxy_register_shared_queue", "proxy_enqueue_shared_queue",
                "proxy_dequeue_shared_queue"],
        config="""
request_headers register_queue queue
request_headers dequeue queue
request_headers enqueue queue one
request_headers enqueue queue two
request_headers enqueue queue ""
request_headers dequeue queue
request_headers dequeue queue
request_headers dequeue queue
request_headers dequeue queue
""",
        mask=[(r"(register_queue.*= OK) \d+", r"\1 TOKEN")],
        expect=['"two"'],
    ),
    Case(
        "a queue that is found",
        covers=["proxy_resolve_shared_queue", "proxy_register_shared_queue"],
        config="""
request_headers register_queue queue
request_headers enqueue queue one
request_headers resolve_queue "" queue
request_headers dequeue queue
request_headers resolve_queue "" other
request_headers resolve_queue other queue
""",
        mask=[(r"((?:register|resolve)_queue.*= OK) \d+", r"\1 TOKEN")],
        expect=['"one"'],
    ),
    Case(
        "tokens that do not exist",
        covers=["proxy_enqueue_shared_queue", "proxy_dequeue_shared_queue"],
        config="""
request_headers proxy_enqueue_shared_queue 12345 "data"
request_headers proxy_dequeue_shared_queue 12345 **
""",
        expect=["NOT_FOUND"],
    ),
    Case(
        "a queue is ready",
        covers=["proxy_on_queue_ready", "proxy_enqueue_shared_queue"],
        config="""
configure register_queue queue
queue_ready log info ready
queue_ready dequeue queue
request_headers enqueue queue "a message"
""",
        mask=[(r"(register_queue.*= OK) \d+", r"\1 TOKEN")],
        settle=0.5,
        expect=["log info: ready", '"a message"'],
    ),
]
