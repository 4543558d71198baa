"""Logging, and the clock."""

from harness.case import Case, get

CASES = [
    Case(
        "levels",
        covers=["proxy_log"],
        config="""
request_headers log trace below
request_headers log debug below
request_headers log info "an info"
request_headers log warn "a warning"
request_headers log error "an error"
request_headers log critical "critical"
""",
        expect=["log crit: critical"],
    ),
    Case(
        "a level that does not exist",
        covers=["proxy_log"],
        config="""
request_headers proxy_log 6 "text"
request_headers proxy_log 4294967295 "text"
""",
        expect=["BAD_ARGUMENT"],
    ),
    Case(
        "several lines, and none",
        covers=["proxy_log"],
        config="""
request_headers log info "one\\ntwo\\nthree"
request_headers log info ""
request_headers log info last
""",
        expect=["two"],
    ),
    Case(
        "control characters and other bytes",
        covers=["proxy_log"],
        config="""
request_headers log info "a\\tb\\x1b[31mc\\xc3\\xa4"
""",
        expect=["log info: a"],
    ),
    Case(
        "the level",
        covers=["proxy_get_log_level"],
        config="""
request_headers log_level
configure log_level
""",
        expect=["log_level.* = OK"],
    ),
    Case(
        "the time",
        covers=["proxy_get_current_time_nanoseconds"],
        config="""
request_headers time
""",
        mask=[(r"OK 1\d{18}\b", "OK NOW")],
        expect=["OK NOW"],
    ),
]
