"""Measures the locations of scripts/bench.sh and holds them to the goals.

CPU time is the worker's own (utime + stime), divided by the requests that wrk
counted; what wrk itself needs is not in it. Each figure is the median of the
rounds. The way "empty" has handlers that do nothing in the same phases: what
Lua, or a plugin, costs is what it costs over that.

Each round has an nginx that was started for it. Where code and data come to lie
in memory, and which traces LuaJIT makes, is decided once per start, and moves
the figures by more than the ways differ: the rounds of one start agree with each
other, and not with those of the next one. What is not counted comes first, until
LuaJIT has compiled it.

With --unlimited it compares two servers instead: one whose guests have a limit
of CPU time, and one whose guests have none.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

WORKS = {
    "nothing": "nothing",
    "headers": "read one request header, add one response header",
    "all": "read all request headers",
    "body4k": "look at a response body of 4 KB",
    "body64k": "look at a response body of 64 KB",
    "callout": "ask an upstream before the request goes on",
}
WAYS = ["nolua", "empty", "lua", "wat", "rust"]
# (work, way, how many times plain Lua's cost over the empty handlers)
GOALS = [("headers", "wat", 1.0), ("headers", "rust", 1.5)]
# (work, way, at least so many times plain Lua's requests per second, at most so
# many times its CPU time per request)
CALLOUT_GOALS = [("callout", "wat", 0.9, 1.3)]
# Seconds that do not count, before those that do.
WARM_UP = 1
# CPU per request with limits, over CPU per request without.
MOST_FOR_LIMITS = 1.03

HEADERS = {
    "x-in": "value",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "accept": "text/html,application/xhtml+xml",
    "accept-language": "en",
    "accept-encoding": "gzip",
    "cookie": "session=0123456789abcdef0123456789abcdef",
    "x-request-id": "0123456789abcdef",
}


def nginx(folder, *args):
    command = ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    subprocess.run([*command, *args], check=True)


def wait_for(what, condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    sys.exit(f"nginx did not {what} in time")


def master_of(folder):
    with open(f"{folder}/nginx.pid") as f:
        return f.read().strip()


def workers_of(master):
    with open(f"/proc/{master}/task/{master}/children") as f:
        return f.read().split()


def worker_of(folder):
    return workers_of(master_of(folder))[0]


def restart(folder):
    """Gives the new worker."""
    old = master_of(folder)
    nginx(folder, "-s", "quit")
    wait_for("end", lambda: not os.path.exists(f"/proc/{old}"))
    nginx(folder)
    pid_file = f"{folder}/nginx.pid"
    wait_for("start", lambda: os.path.exists(pid_file) and workers_of(master_of(folder)))
    return worker_of(folder)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check(url, work, way):
    """What is measured must be what is meant."""
    request = urllib.request.Request(url, headers=HEADERS)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=20)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error}")
    if work == "headers" and way in ("lua", "wat", "rust"):
        if answer.headers["x-out"] is None:
            sys.exit(f"{url}: no x-out header in the response")


def measure(worker, url, seconds):
    headers = [x for name, value in HEADERS.items() for x in ("-H", f"{name}: {value}")]
    before = cpu_seconds(worker)
    out = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", *headers, url],
        check=True, capture_output=True, text=True,
    ).stdout
    used = cpu_seconds(worker) - before
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{url}: {out}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))
    return used / requests * 1e6, rate


def compare_limits(args, works):
    """The median of what a request costs with limits over what it costs without, in pairs."""
    ways = ["wat", "rust"]
    sides = [(worker_of(args.unlimited_server), args.unlimited), (worker_of(args.server), args.url)]
    ratios = {}
    for round_ in range(args.rounds):
        print(f"round {round_ + 1} of {args.rounds}", file=sys.stderr)
        for work in works:
            for way in ways:
                costs = [0, 0]
                # Another one first each time: what changes slowly hits both.
                for side in ((0, 1), (1, 0))[round_ % 2]:
                    worker, url = sides[side]
                    costs[side], _ = measure(worker, f"{url}/{work}/{way}", args.seconds)
                ratios.setdefault((work, way), []).append(costs[1] / costs[0])

    print(f"\n{'':8} {'with a limit of CPU time / without, CPU per request: median, least, most'}")
    for work in works:
        print(f"{work}: {WORKS[work]}")
        for way in ways:
            these = ratios[work, way]
            print(f"  {way:6} {statistics.median(these):8.3f} {min(these):8.3f} {max(these):8.3f}")
    ratio = statistics.median(ratio for these in ratios.values() for ratio in these)
    missed = ratio > MOST_FOR_LIMITS
    print(f"\n{'FAIL' if missed else 'pass'}: {ratio:.3f} in the median of all pairs; goal: at most"
          f" {MOST_FOR_LIMITS}")
    return missed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--server", required=True, help="the folder of its nginx.conf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", choices=WORKS)
    parser.add_argument("--unlimited")
    parser.add_argument("--unlimited-server")
    args = parser.parse_args()

    works = [args.only] if args.only else list(WORKS)
    for work in works:
        for way in WAYS:
            check(f"{args.url}/{work}/{way}", work, way)
    if args.unlimited:
        return int(compare_limits(args, works))

    figures = {}
    for round_ in range(args.rounds):
        print(f"round {round_ + 1} of {args.rounds}", file=sys.stderr)
        worker = restart(args.server)
        for work in works:
            # Another order each time: no way always runs after the same one.
            for way in WAYS[round_ % len(WAYS):] + WAYS[:round_ % len(WAYS)]:
                measure(worker, f"{args.url}/{work}/{way}", WARM_UP)
                figure = measure(worker, f"{args.url}/{work}/{way}", args.seconds)
                figures.setdefault((work, way), []).append(figure)
        if worker_of(args.server) != worker:
            sys.exit("the worker died while it was measured")

    cpu = {key: statistics.median(c for c, _ in runs) for key, runs in figures.items()}
    rate = {key: statistics.median(r for _, r in runs) for key, runs in figures.items()}

    print(f"\n{'':8} {'CPU µs/req':>10} {'over empty':>10} {'x nolua':>8} {'x empty':>8} {'x lua':>8}"
          f" {'req/s':>9} {'x lua':>8}")
    for work in works:
        print(f"{work}: {WORKS[work]}")
        for way in WAYS:
            this = cpu[work, way]
            print(f"  {way:6} {this:10.2f} {this - cpu[work, 'empty']:10.2f}"
                  f" {this / cpu[work, 'nolua']:8.2f} {this / cpu[work, 'empty']:8.2f}"
                  f" {this / cpu[work, 'lua']:8.2f}"
                  f" {rate[work, way]:9.0f} {rate[work, way] / rate[work, 'lua']:8.2f}")

    print()
    missed = 0
    for work, way, times in GOALS:
        if work not in works:
            continue
        lua = cpu[work, "lua"] - cpu[work, "empty"]
        cost = cpu[work, way] - cpu[work, "empty"]
        met = cost <= times * lua
        missed += not met
        print(f"{'pass' if met else 'FAIL'}: {work} by {way} costs {cost:.2f} µs over empty handlers;"
              f" goal: at most {times} times plain Lua's {lua:.2f} µs")
    for work, way, least, most in CALLOUT_GOALS:
        if work not in works:
            continue
        speed = rate[work, way] / rate[work, "lua"]
        cost = cpu[work, way] / cpu[work, "lua"]
        met = speed >= least and cost <= most
        missed += not met
        print(f"{'pass' if met else 'FAIL'}: {work} by {way}: {speed:.2f} times plain Lua's req/s, goal:"
              f" at least {least}; {cost:.2f} times its CPU per request, goal: at most {most}")
    return 1 if missed else 0


sys.exit(main())
