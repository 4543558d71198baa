"""What was seen of a case, as lines that two proxies can be compared by."""

import difflib
import re
import zlib

# Not compared, and why.
RESPONSE_FIELDS_LEFT_OUT = {
    "server": "nginx always names itself; Envoy is told here not to",
    "date": "the time; and Envoy passes on the origin's, of which there is none",
    "connection": "of the connection, not of the message",
    "keep-alive": "of the connection",
    "transfer-encoding": "framing: the body that arrived is compared",
    "content-length": "framing, as above; cases of its own compare it",
}
ORIGIN_FIELDS_LEFT_OUT = {
    "connection": "of the connection",
    "transfer-encoding": "framing: the body that arrived is compared",
    "content-length": "framing, as above",
    "x-envoy-expected-rq-timeout-ms": "Envoy says how long it will wait",
    "x-envoy-internal": "Envoy says that the client is near",
    "x-forwarded-for": "Envoy's client address; in nginx a matter of proxy_set_header",
    "x-envoy-original-path": "Envoy's note",
}

MASKS = [
    # Both count their contexts, but not alike: ids mean nothing outside a VM.
    (re.compile(r"\b(context|parent|root|token)=\d+"), r"\1=N"),
    (re.compile(r"((?:http_call|grpc_call|grpc_stream)\(.*\) = OK) \d+"), r"\1 TOKEN"),
    # Envoy's headers, as the gRPC server has them.
    (re.compile(r"x-envoy-[\w-]+: \w+\\n"), ""),
    # What Envoy's HTTP client adds to an answer; a case shows what that does to their number.
    (re.compile(r' "x-envoy-upstream-service-time"="\d+"'), ""),
]
LEVELS = {"critical": "crit", "warning": "warn"}


def plain(text):
    return "".join(c if " " <= c <= "~" else "\\n" if c == "\n" else "\\x%02x" % ord(c)
                   for c in text)


def quoted(data, limit=400):
    text = plain(data.decode("latin-1"))
    if len(text) > limit:
        text = "%s... (%d bytes, hash %08x)" % (text[:limit], len(data), zlib.crc32(data))
    return '"%s"' % text


def fields(prefix, fields, left_out):
    kept = sorted(field for field in fields if field[0] not in left_out)
    return ["%s %s: %s" % (prefix, name, plain(value)) for name, value in kept]


def but_length(case, left_out):
    return {name: why for name, why in left_out.items()
            if not (case.length and name == "content-length")}


def of_responses(case, responses):
    lines = []
    left_out = but_length(case, RESPONSE_FIELDS_LEFT_OUT)
    for number, response in enumerate(responses, 1):
        at = "response" if len(responses) == 1 else "response %d" % number
        lines.append("%s: %s%s" % (at, response.status,
                                   "" if response.end == "complete" else ", " + response.end))
        lines += fields(at + " header", response.fields, left_out)
        lines.append("%s body: %s" % (at, quoted(response.body)))
        lines += fields(at + " trailer", response.trailers, {})
    return lines


def of_received(case, what, received):
    lines = []
    left_out = but_length(case, ORIGIN_FIELDS_LEFT_OUT)
    for number, (method, target, headers, body, trailers) in enumerate(received, 1):
        at = what if len(received) == 1 else "%s %d" % (what, number)
        lines.append("%s: %s %s" % (at, method, target))
        lines += fields(at + " header", headers, left_out)
        lines.append("%s body: %s" % (at, quoted(body)))
        lines += fields(at + " trailer", trailers, {})
    return lines


def of_log(case, log):
    """A message of several lines is several lines."""
    lines = []
    many = len(case.plugins) > 1
    for name, level, message in log:
        slug, _, index = name.rpartition(".")
        if slug != case.slug:
            continue
        for line in message.rstrip("\n").split("\n"):
            lines.append("log %s%s: %s" % (index + " " if many else "",
                                           LEVELS.get(level, level), plain(line)))
    return lines


def of_metrics(case, metrics):
    """Those that the case's plugins name: each case has names of its own. Not the empty one, which is in every script."""
    scripts = "\n".join(plugin.config + (plugin.nginx_config or "") for plugin in case.plugins)
    return ["metric %s: %s" % (name, metrics[name]) for name in sorted(metrics)
            if name and re.search(r"\b%s\b" % re.escape(name), scripts)]


def samples(count, total):
    """A histogram. Envoy keeps no sum, and estimates it from its buckets."""
    return "%d samples, about %.1g together" % (float(count), float(total))


def in_order(line):
    """A logged list of headers by name; those of one name stay as they are."""
    found = re.match(r"(.*get_pairs\(.*?\) = OK \d+ )(.*)", line)
    if not found:
        return line
    pairs = re.findall(r'"(?:[^"\\]|\\.)*"="(?:[^"\\]|\\.)*"', found.group(2))
    return found.group(1) + " ".join(sorted(pairs, key=lambda pair: pair.split("=")[0]))


def masked(case, lines):
    if case.any_order:
        lines = [in_order(line) for line in lines]
    masks = [(re.compile(pattern), with_) for pattern, with_ in case.mask] + MASKS
    for pattern, with_ in masks:
        lines = [pattern.sub(with_, line) for line in lines]
    return [line for line in lines if not any(re.search(each, line) for each in case.ignore)]


def difference(ours, theirs):
    """Envoy's lines after "- ", nginx's after "+ "."""
    lines = []
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            lines += ["- " + line for line in ours[a:b]]
            lines += ["+ " + line for line in theirs[c:d]]
    return lines
