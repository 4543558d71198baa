"""Sends scripts/soak.sh's nginx a mix of good and bad requests, reloads it
again and again, and says whether anybody but the bad ones was hurt.

Each request is one of a kind (KINDS), each with the answers that are right for
it. What makes the run fail: one wrong answer; a worker that died; memory or
contexts that grow; a kind of failure that hardly came up.
"""

import argparse
import asyncio
import collections
import os
import random
import re
import signal
import sys
import time

# kind: (share of the traffic, path, what the plugin is asked to do)
KINDS = {
    "good": (50, "/good", None),
    "callout": (10, "/callout", None),
    "between": (10, None, None),
    "trap": (4, "/trap", "trap"),
    "panic": (4, "/panic", "panic"),
    "exit": (4, "/exit", "exit"),
    "loop": (4, "/loop", "loop"),
    "memory": (4, "/memory", "leak"),
    "response": (3, "/response", "trap"),
    "open": (3, "/open", "trap"),
    "timeout": (3, "/timeout", "wait"),
    "abort": (4, "/timeout", "wait"),
}
FAILURES = [kind for kind in KINDS if kind not in ("good", "callout", "between")]
# Plugins that fail now and then, and must work in between.
FALLIBLE = ["/trap", "/panic", "/exit", "/loop", "/memory", "/response", "/open"]
LEAST_SHARE = 0.01

BODY = b"the quick brown fox\n" * 50
# Seconds: longer than any wait that the configuration allows.
PATIENCE = 20
# A worker's memory may differ from another's by what a few instances need.
SLACK = 24 << 20


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def dechunked(data):
    """The body, and whether it came to its end."""
    body = b""
    while True:
        size, found, data = data.partition(b"\r\n")
        if not found:
            return body, False
        if int(size, 16) == 0:
            return body, data == b"\r\n"
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]


async def ask(port, path, headers, abort_after=None):
    """One request on a connection of its own. None: aborted as asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"GET {path} HTTP/1.1", "Host: soak", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines + ["", ""]).encode())
        if abort_after is not None:
            await asyncio.sleep(abort_after)
            writer.transport.abort()
            return None
        data = await asyncio.wait_for(reader.read(-1), PATIENCE)
    finally:
        writer.close()
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return Answer(0, {}, data)
    first, *rest = head.decode("latin-1").split("\r\n")
    named = dict(line.lower().split(": ", 1) for line in rest)
    if named.get("transfer-encoding") == "chunked":
        body, whole = dechunked(body)
        if not whole:
            return Answer(0, named, body)
    if int(named.get("content-length", len(body))) != len(body):
        return Answer(0, named, body)
    return Answer(int(first.split()[1]), named, body)


def is_whole(answer, token):
    """The plugin worked: its header is there, nobody else's, and the body."""
    return answer.status == 200 and answer.headers.get("x-soak") == token and answer.body == BODY


def passed(answer):
    """The plugin did nothing to it."""
    return answer.status == 200 and "x-soak" not in answer.headers and answer.body == BODY


def verdict(kind, path, answer, token):
    """What came of a request; a "!" in front says that it is wrong."""
    if kind in ("good", "callout"):
        return "answered" if is_whole(answer, token) else f"!{answer.status}"
    if kind == "between":
        if is_whole(answer, token):
            return "answered"
        if path == "/open" and passed(answer):
            return "passed"
        return "refused" if answer.status == 503 else f"!{answer.status}"
    if kind == "open":
        return "passed" if passed(answer) else f"!{answer.status}"
    expected = 504 if kind == "timeout" else 503
    return "refused" if answer.status == expected else f"!{answer.status}"


class Soak:
    def __init__(self, args):
        self.args = args
        self.results = collections.Counter()
        self.wrong = []
        self.peaks = []
        self.reloads = 0

    async def client(self, until):
        kinds, weights = list(KINDS), [share for share, _, _ in KINDS.values()]
        while time.monotonic() < until:
            kind = random.choices(kinds, weights)[0]
            _, path, deed = KINDS[kind]
            path = path or random.choice(FALLIBLE)
            token = f"{random.getrandbits(64):x}"
            headers = {"x-token": token}
            if deed:
                headers["x-do"] = deed
            abort = random.uniform(0, 0.3) if kind == "abort" else None
            try:
                answer = await ask(self.args.port, path, headers, abort)
            except (OSError, asyncio.TimeoutError, ValueError) as error:
                self.results[kind, f"!{type(error).__name__}"] += 1
                self.wrong.append(f"{kind}: {error!r}")
                continue
            result = "aborted" if answer is None else verdict(kind, path, answer, token)
            self.results[kind, result] += 1
            if result.startswith("!"):
                self.wrong.append(f"{kind}: {answer.status} {answer.headers} {answer.body[:80]!r}")

    def workers(self):
        with open(f"/proc/{self.args.master}/task/{self.args.master}/children") as f:
            return [int(pid) for pid in f.read().split()]

    async def reload(self, until):
        while time.monotonic() + self.args.reload < until:
            await asyncio.sleep(self.args.reload)
            # Before the workers go: what they have come to need.
            self.peaks.append(max(rss(pid) for pid in self.workers()))
            os.kill(self.args.master, signal.SIGHUP)
            self.reloads += 1

    async def run(self):
        # What is there for good is there once everything was used.
        warm = time.monotonic() + 5
        await asyncio.gather(*[self.client(warm) for _ in range(self.args.clients)])
        os.kill(self.args.master, signal.SIGHUP)
        await asyncio.sleep(1)
        self.results.clear()
        begin = rss(self.args.master)

        until = time.monotonic() + self.args.seconds
        tasks = [self.client(until) for _ in range(self.args.clients)]
        await asyncio.gather(self.reload(until), *tasks)
        # Callouts end, contexts are swept, old workers go.
        await asyncio.sleep(4)
        self.peaks.append(max(rss(pid) for pid in self.workers()))
        alive = await self.contexts_alive()
        return begin, rss(self.args.master), alive

    async def contexts_alive(self):
        """The most that any worker answered, asked often enough to meet all."""
        counts = {}
        for _ in range(20):
            answer = await ask(self.args.port, "/status", {})
            pid, alive = map(int, answer.body.split())
            counts[pid] = alive
        return sum(counts.values())


def rss(pid):
    """Bytes; 0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def read_log(path):
    deaths, restarts = [], collections.Counter()
    with open(path, errors="replace") as log:
        for line in log:
            if re.search(r"exited on signal|exited with (fatal )?code [1-9]|\[(emerg|alert)\]", line):
                deaths.append(line.strip())
            dropped = re.search(r"\[proxy-wasm\] (\S+): .*the instance is dropped", line)
            if dropped:
                restarts[dropped[1]] += 1
    return deaths, restarts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--master", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--reload", type=float, default=10)
    parser.add_argument("--clients", type=int, default=24)
    args = parser.parse_args()
    soak = Soak(args)
    begin, end, alive = asyncio.run(soak.run())
    deaths, restarts = read_log(args.log)

    total = sum(soak.results.values())
    print(f"{total} requests, {soak.reloads} reloads, 2 workers")
    for kind in KINDS:
        outcomes = {r: n for (k, r), n in sorted(soak.results.items()) if k == kind}
        count = sum(outcomes.values())
        what = ", ".join(f"{n} {r}" for r, n in outcomes.items())
        print(f"  {kind:9} {count:7} {100 * count / total:5.1f} %   {what}")
    print("instances dropped: " + ", ".join(f"{name} {n}" for name, n in sorted(restarts.items())))
    mib = 1 << 20
    print(f"memory of the master: {begin / mib:.1f} MiB, at the end {end / mib:.1f} MiB")
    print("largest worker before each reload: "
          + " ".join(f"{peak / mib:.0f}" for peak in soak.peaks) + " MiB")
    print(f"contexts and callouts alive at the end: {alive}")

    failed = [f"wrong answer: {wrong}" for wrong in soak.wrong[:10]]
    failed += [f"in the log: {line}" for line in deaths[:10]]
    for kind in FAILURES:
        share = sum(n for (k, _), n in soak.results.items() if k == kind) / total
        if share < LEAST_SHARE:
            failed.append(f"too little of {kind}: {100 * share:.2f} %")
    for name in ("trap", "panic", "exit", "loop", "memory", "response", "open"):
        if not restarts[name]:
            failed.append(f"the plugin {name} never failed")
    if alive:
        failed.append(f"{alive} contexts or callouts are left")
    if end > begin * 1.1 + (4 << 20):
        failed.append("the master has grown")
    half = len(soak.peaks) // 2
    if half and max(soak.peaks[half:]) > max(soak.peaks[:half]) * 1.2 + SLACK:
        failed.append("the workers have grown")
    for line in failed:
        print(f"FAIL: {line}")
    print("soak: " + ("FAILED" if failed else "passed"))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
