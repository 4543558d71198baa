"""Sends scripts/soak.sh's nginx a mix of good and bad requests, reloads it
again and again, and says whether anybody but the bad ones was hurt.

Good requests are of a kind (GOOD). Each kind of bad ones (FAILURES) has clients
of its own: one that made a plugin fail sends good requests until it sees the
plugin work again, in the same worker. How often a plugin failed is what the log
says, as a plugin that has failed refuses requests for a while, and that looks
alike. The good ones leave room for the bad ones, so that these are a part of the
traffic that counts. What makes the run fail is in judge.py.
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

from judge import Facts, judge

# kind: (share of the good traffic, path)
GOOD = {"good": (75, "/good"), "callout": (15, "/callout"), "grpc": (10, "/grpc")}
# Plugins that fail when they are asked to, and must work afterwards.
FALLIBLE = {
    "trap": "trap",
    "panic": "panic",
    "exit": "exit",
    "loop": "loop",
    "memory": "leak",
    "response": "trap",
    "grpc_trap": "trap",
    "open": "trap",
}
FAILURES = [*FALLIBLE, "timeout", "abort"]
# Clients of each kind of failure; those of a timeout wait for a second.
FAILING = dict.fromkeys(FALLIBLE, 2) | {"memory": 4, "timeout": 24, "abort": 3}
# Below this share of the traffic a kind of failure has the others wait.
SCARCE = 0.014

BODY = b"the quick brown fox\n" * 50
# Seconds: longer than any wait that the configuration allows.
PATIENCE = 20
# Seconds until a plugin that has failed must work again. It gets a new instance
# after 100 ms; after twice as many where it fails before it has worked.
RECOVERY = 15


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


def verdict(kind, deed, answer, token):
    """What came of a request; a "!" in front says that it is wrong."""
    if kind in GOOD:
        return "answered" if is_whole(answer, token) else f"!{answer.status}"
    if kind == "timeout":
        return "ended" if answer.status == 504 else f"!{answer.status}"
    if not deed and is_whole(answer, token):
        return "answered"
    if kind == "open":
        return "passed" if passed(answer) else f"!{answer.status}"
    return "refused" if answer.status == 503 else f"!{answer.status}"


class Soak:
    def __init__(self, args):
        self.args = args
        self.log = Log(args.log)
        self.results = collections.Counter()
        self.recovered = collections.Counter()
        self.wrong = []
        self.stuck = []
        self.peaks = []
        self.grown = {}
        self.reloads = 0
        self.scarce = False

    async def ask(self, kind, path, deed=None, abort_after=None):
        """One request of a kind; its answer and what it comes to."""
        token = f"{random.getrandbits(64):x}"
        headers = {"x-token": token} | ({"x-do": deed} if deed else {})
        counted = kind if deed or kind in GOOD else "between"
        try:
            answer = await ask(self.args.port, path, headers, abort_after)
        except (OSError, asyncio.TimeoutError, ValueError) as error:
            self.results[counted, f"!{type(error).__name__}"] += 1
            self.wrong.append(f"{kind}: {error!r}")
            return None, "!"
        result = "aborted" if answer is None else verdict(kind, deed, answer, token)
        self.results[counted, result] += 1
        if result.startswith("!"):
            self.wrong.append(f"{kind}: {answer.status} {answer.headers} {answer.body[:80]!r}")
        return answer, result

    async def good(self, until):
        kinds, weights = list(GOOD), [share for share, _ in GOOD.values()]
        while time.monotonic() < until:
            if self.scarce:
                await asyncio.sleep(0.1)
            kind = random.choices(kinds, weights)[0]
            await self.ask(kind, GOOD[kind][1])

    async def failing(self, kind, until):
        while time.monotonic() < until:
            if kind == "timeout":
                await self.ask(kind, "/timeout", "wait")
            elif kind == "abort":
                await self.ask(kind, "/timeout", "wait", random.uniform(0.02, 0.3))
            else:
                reloads = self.reloads
                answer, _ = await self.ask(kind, f"/{kind}", FALLIBLE[kind])
                if answer is not None:
                    await self.recover(kind, answer.headers.get("x-worker"), reloads)

    async def recover(self, kind, worker, reloads):
        """Waits until the plugin works in that worker, or the worker has to go."""
        begin = time.monotonic()
        # A reload is counted before the signal for it; a worker that goes on with
        # what it had before takes nothing new.
        while self.reloads == reloads and worker in map(str, self.workers()):
            answer, result = await self.ask(kind, f"/{kind}")
            if result == "answered" and answer.headers.get("x-worker") == worker:
                self.recovered[kind] += 1
                return
            if time.monotonic() - begin > RECOVERY:
                self.stuck.append(f"{kind}, in worker {worker}")
                return
            await asyncio.sleep(0.04)

    async def watch(self, until):
        """Which failures came about."""
        while time.monotonic() < until:
            await asyncio.sleep(0.25)
            self.log.read()
            total = sum(self.results.values())
            least = min(self.happened(kind) for kind in FAILURES)
            self.scarce = least < SCARCE * total

    def happened(self, kind):
        if kind == "timeout":
            return self.results[kind, "ended"]
        if kind == "abort":
            return self.log.aborted
        return self.log.dropped[kind]

    def workers(self):
        with open(f"/proc/{self.args.master}/task/{self.args.master}/children") as f:
            return [int(pid) for pid in f.read().split()]

    def reload(self):
        self.reloads += 1
        os.kill(self.args.master, signal.SIGHUP)

    async def reload_often(self, until):
        while time.monotonic() + self.args.reload < until:
            await asyncio.sleep(self.args.reload)
            # Before the workers go: what they have come to need.
            self.peaks.append(max(rss(pid) for pid in self.workers()))
            self.reload()

    async def see_growth(self, since, until):
        """What the workers need at the least, which no instance that comes and
        goes is a part of, after a third of a time without a reload and at its
        end."""
        length = until - since
        early, late = {}, {}
        while (now := time.monotonic()) < until:
            await asyncio.sleep(0.2)
            part = (now - since) / length
            seen = early if 0.3 < part < 0.5 else late if part > 0.8 else None
            if seen is not None:
                for pid in self.workers():
                    seen[pid] = min(rss(pid), seen.get(pid, 1 << 60))
        self.grown = {pid: (early[pid], late[pid]) for pid in early if late.get(pid)}

    async def traffic(self, until, *others):
        clients = [self.good(until) for _ in range(self.args.clients)]
        for kind, number in FAILING.items():
            clients += [self.failing(kind, until) for _ in range(number)]
        await asyncio.gather(self.watch(until), *clients, *others)

    async def run(self):
        # What is there for good is there once everything was used.
        await self.traffic(time.monotonic() + 5)
        self.reload()
        await asyncio.sleep(1)
        self.results.clear()
        self.recovered.clear()
        self.log.begin()
        begin = rss(self.args.master)

        until = time.monotonic() + self.args.seconds
        quiet = until - max(20, self.args.seconds / 3)
        await self.traffic(until, self.reload_often(quiet), self.see_growth(quiet, until))
        # Callouts end, contexts are swept, old workers go.
        await asyncio.sleep(4)
        self.peaks.append(max(rss(pid) for pid in self.workers()))
        alive = await self.contexts_alive()
        self.log.read()
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


class Log:
    """The error log, as far as it was read."""

    def __init__(self, path):
        self.path, self.position = path, 0
        self.deaths, self.dropped, self.aborted = [], collections.Counter(), 0

    def begin(self):
        """Counts from here on, but for deaths."""
        self.read()
        self.dropped = collections.Counter()
        self.aborted = 0

    def read(self):
        with open(self.path, "rb") as log:
            log.seek(self.position)
            data = log.read()
        # Whole lines.
        data = data[: data.rfind(b"\n") + 1]
        self.position += len(data)
        for line in data.decode(errors="replace").splitlines():
            if re.search(r"exited on signal|exited with (fatal )?code [1-9]|\[(emerg|alert)\]", line):
                self.deaths.append(line.strip())
            dropped = re.search(r"\[proxy-wasm\] (\S+): .*the instance is dropped", line)
            if dropped:
                self.dropped[dropped[1]] += 1
            self.aborted += "soak: the client went away" in line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--master", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--reload", type=float, default=10)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    soak = Soak(args)
    begin, end, alive = asyncio.run(soak.run())

    total = sum(soak.results.values())
    facts = Facts(
        total=total,
        wrong=soak.wrong,
        stuck=soak.stuck,
        deaths=soak.log.deaths,
        happened={kind: soak.happened(kind) for kind in FAILURES},
        recovered=soak.recovered,
        master=(begin, end),
        peaks=soak.peaks,
        grown=soak.grown,
        alive=alive,
    )
    print(f"{total} requests, {soak.reloads} reloads, 2 workers")
    for kind in [*GOOD, "between", *FAILURES]:
        outcomes = {r: n for (k, r), n in sorted(soak.results.items()) if k == kind}
        what = ", ".join(f"{n} {r}" for r, n in outcomes.items())
        if kind in FAILURES:
            count = facts.happened[kind]
            what = f"{100 * count / total:5.2f} %: {count} came about; {what}"
        if kind in FALLIBLE:
            what += f"; seen to work again {soak.recovered[kind]} times"
        print(f"  {kind:9} {what}")
    mib = 1 << 20
    print(f"memory of the master: {begin / mib:.1f} MiB, at the end {end / mib:.1f} MiB")
    print("largest worker before each reload: "
          + " ".join(f"{peak / mib:.0f}" for peak in soak.peaks) + " MiB")
    print("workers without a reload, early and late: "
          + ", ".join(f"{a / mib:.1f} {b / mib:.1f}" for a, b in soak.grown.values()) + " MiB")
    print(f"contexts and callouts alive at the end: {alive}")

    failed = judge(facts, FAILURES, FALLIBLE)
    for line in failed:
        print(f"FAIL: {line}")
    print("soak: " + ("FAILED" if failed else "passed"))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
