"""Metrics, as their plugins read them and as the proxy has them."""

from harness.case import Case, get

CASES = [
    Case(
        "a counter",
        covers=["proxy_define_metric", "proxy_increment_metric", "proxy_get_metric"],
        config="""
request_headers define_metric counter case_counter
request_headers increment_metric case_counter 3
request_headers increment_metric case_counter 4
request_headers get_metric case_counter
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        requests=[get(), get()],
        expect=["get_metric.* = OK 14", "^metric case_counter: 14$"],
    ),
    Case(
        "a gauge",
        covers=["proxy_define_metric", "proxy_increment_metric", "proxy_record_metric",
                "proxy_get_metric"],
        config="""
request_headers define_metric gauge case_gauge
request_headers record_metric case_gauge 10
request_headers increment_metric case_gauge 5
request_headers get_metric case_gauge
request_headers increment_metric case_gauge -7
request_headers get_metric case_gauge
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["get_metric.* = OK 8", "^metric case_gauge: 8$"],
    ),
    Case(
        "a histogram",
        covers=["proxy_define_metric", "proxy_record_metric"],
        config="""
request_headers define_metric histogram case_histogram
request_headers record_metric case_histogram 10
request_headers get_metric case_histogram
request_headers increment_metric case_histogram 1
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["record_metric.* = OK", "^metric case_histogram: 1 samples, about 1e.01 together$"],
    ),
    Case(
        "samples of a histogram, of several requests",
        covers=["proxy_record_metric"],
        config="""
configure define_metric histogram case_samples
request_headers record_metric case_samples 100
request_headers record_metric case_samples 100
request_headers record_metric case_samples 300
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        requests=[get(), get()],
        expect=["^metric case_samples: 6 samples, about 1e.03 together$"],
    ),
    Case(
        "one name, one metric",
        covers=["proxy_define_metric"],
        config="""
request_headers define_metric counter case_twice
request_headers increment_metric case_twice 2
request_headers define_metric counter case_twice
request_headers get_metric case_twice
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["get_metric.* = OK 2", "^metric case_twice: 2$"],
    ),
    Case(
        "one name, two types",
        covers=["proxy_define_metric"],
        config="""
request_headers define_metric counter case_types
request_headers define_metric gauge case_types
request_headers record_metric case_types 5
request_headers get_metric case_types
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["get_metric.* = OK"],
        differs="A metric that has another type's name",
    ),
    Case(
        "a counter is recorded, and does not fall",
        covers=["proxy_record_metric", "proxy_increment_metric"],
        config="""
request_headers define_metric counter case_recorded
request_headers record_metric case_recorded 5
request_headers record_metric case_recorded 6
request_headers get_metric case_recorded
request_headers increment_metric case_recorded -1
request_headers increment_metric case_recorded 0
request_headers get_metric case_recorded
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["get_metric.* = OK 11", "^metric case_recorded: 11$"],
    ),
    Case(
        "what does not exist",
        covers=["proxy_define_metric", "proxy_increment_metric", "proxy_record_metric",
                "proxy_get_metric"],
        config="""
request_headers proxy_define_metric 3 "case_none" *
request_headers proxy_increment_metric 12345 1
request_headers proxy_record_metric 12345 1
request_headers proxy_get_metric 12345 *
""",
        expect=["proxy_get_metric"],
    ),
    Case(
        "an empty name",
        covers=["proxy_define_metric"],
        config="""
request_headers define_metric counter ""
request_headers increment_metric "" 2
request_headers get_metric ""
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        expect=["get_metric.* = OK 2"],
    ),
    Case(
        "defined when the plugin is configured",
        covers=["proxy_define_metric"],
        config="""
configure define_metric counter case_configured
request_headers increment_metric case_configured 1
request_headers get_metric case_configured
""",
        mask=[(r"(define_metric.*= OK) \d+", r"\1 ID")],
        requests=[get(), get()],
        expect=["get_metric.* = OK 2", "^metric case_configured: 2$"],
    ),
]
