#!/usr/bin/env python3
"""Runs the cases of cases/ on Envoy and on nginx with this library, and compares what is seen.

usage: run.py --envoy BINARY --library DIRECTORY --guests DIRECTORY --work DIRECTORY
              [--nginx BINARY] [--diff] [--record] [PATTERN...]

Only the cases whose names have one of the patterns in them. --diff shows the documented differences, too;
--record writes down how the cases that name a paragraph of docs/DIFFERENCES.md differ today. README.md
says more.
"""

import argparse
import importlib
import re
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from harness import http1, http2, transcript  # noqa: E402
from harness.case import ANY, Case, Plugin, get, reply  # noqa: E402
from harness.envoy import Envoy  # noqa: E402
from harness.nginx import Nginx  # noqa: E402
from harness.servers import GrpcServer, Server  # noqa: E402
from harness.table import Library  # noqa: E402
from harness.recorded import Recorded  # noqa: E402

LEAST = 80

# A plugin that is made to behave otherwise in nginx: if that does not show, the whole comparison shows nothing.
CANARY_CONFIG = """
request_headers add_header request x-canary alive
request_headers if_header x-answer yes local_response 403 alive
response_headers add_header response x-canary alive
request_headers log info alive
configure define_metric counter canary_alive
"""
CANARY = Case(
    "canary", covers=[], requests=[get(), get("/", {"x-answer": "yes"})], statuses=ANY,
    plugins=[Plugin(CANARY_CONFIG, nginx_config=CANARY_CONFIG.replace("alive", "dead")
                    .replace("403", "404"))], expect=["log info"])
CANARY_SHOWS = ["response 1 header x-canary: dead", "response 2: 404", 'response 2 body: "dead"',
                "origin header x-canary: dead", "log info: dead", "metric canary_dead: 0"]


def load_cases():
    cases = []
    for path in sorted((HERE / "cases").glob("*.py")):
        module = importlib.import_module("cases." + path.stem)
        for case in module.CASES:
            case.name = "%s: %s" % (path.stem, case.name)
            cases.append(case)
    names = [case.slug for case in cases]
    for name in set(names):
        if names.count(name) > 1:
            raise SystemExit("two cases are called %s" % name)
    return cases


class Side:
    """A proxy, and the servers behind it."""

    def __init__(self, make):
        self.origin = Server()
        self.callout = Server()
        self.origin.answer = self.callout.answer = lambda path: reply(404)
        # Taken, but nobody listens.
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        self.grpc = GrpcServer()
        self.ports = {"origin": self.origin.port, "callout": self.callout.port,
                      "grpc": self.grpc.port,
                      "dead": self.dead.getsockname()[1],
                      # Names that published plugins, and test guests, call.
                      "httpbin": self.callout.port, "auth": self.callout.port}
        self.make = make
        self.proxy = None
        self.seen = {}
        self.took = {}
        self.finished = False

    def start(self, directory, cases):
        self.proxy = self.make(directory, cases, self.ports)
        return self.proxy.start()

    def run(self, cases):
        for case in cases:
            self.origin.answer = lambda path, case=case: case.origin
            self.callout.answer = lambda path, case=case: \
                case.callout.get(path) or case.callout.get("*") or reply(404)
            address = self.proxy.addresses[case.slug]
            started = time.monotonic()
            exchange = http2.exchange if case.http2 else http1.exchange
            responses = [exchange(address, request) for request in case.requests]
            time.sleep(case.settle or 0.02)
            lines = transcript.of_responses(case, responses)
            lines += transcript.of_received(case, "origin", self.origin.take())
            # Calls at the same time come as they come.
            lines += transcript.of_received(case, "callout",
                                            sorted(self.callout.take(), key=lambda call: call[1]))
            self.seen[case.slug] = (responses, lines)
            self.took[case.slug] = time.monotonic() - started
            if self.proxy.process.poll() is not None:
                print("%s died: %s" % (self.proxy.name, case.name))
                return

    def finish(self, cases):
        """The transcripts, when all that is logged late has been."""
        time.sleep(0.5)
        log = list(self.proxy.log_lines())
        metrics = self.proxy.metrics()
        self.proxy.stop()
        names = [(":%d" % port, ":" + name.upper()) for name, port in self.ports.items()]
        names += [(":%d" % self.proxy.addresses[case.slug][1], ":LISTENER") for case in cases]
        for case in cases:
            responses, lines = self.seen[case.slug]
            lines = lines + transcript.of_log(case, log) + transcript.of_metrics(case, metrics)
            for port, name in names:
                lines = [line.replace(port, name) for line in lines]
            self.seen[case.slug] = (responses, transcript.masked(case, lines))


def judge(case, library, recorded, envoy, nginx):
    """(verdict, what is wrong, the difference)"""
    difference = transcript.difference(envoy[1], nginx[1])
    wrong = []
    for name, (responses, lines) in (("envoy", envoy), ("nginx", nginx)):
        got = [response.status for response in responses]
        if case.statuses != ANY and got != case.statuses:
            wrong.append("%s: statuses %s instead of %s" % (name, got, case.statuses))
        for pattern in case.expect:
            if not any(re.search(pattern, line) for line in lines):
                wrong.append("%s: nothing matches /%s/" % (name, pattern))
        for line in lines:
            if line.startswith("log ") and "error: script: " in line:
                wrong.append("%s: %s" % (name, line))
    if not case.expect:
        wrong.append("expects nothing: it could be the same because nothing happens")
    return against_record(case, library, recorded, difference, wrong), wrong, difference


def against_record(case, library, recorded, difference, wrong):
    """The verdict; adds to what is wrong."""
    if not case.differs:
        if difference:
            wrong.append("differs, and names no paragraph of docs/DIFFERENCES.md")
        return "same"
    for heading in case.differs:
        if not library.is_documented(heading):
            wrong.append('docs/DIFFERENCES.md has no paragraph "%s"' % heading)
    if not difference:
        wrong.append("is the same on both: the difference is gone")
    elif difference != recorded:
        wrong.append("does not differ as it is written down in differences/:")
        wrong += ["    " + line for line in recorded]
    return "differs: " + "; ".join(case.differs)


def statuses(seen):
    return " ".join("-" if response.status is None else str(response.status)
                    for response in seen[0])


class Report:
    def __init__(self, width):
        self.width = width
        self.failures = []

    def row(self, name, envoy, nginx, verdict):
        print("%-*s | %-11s | %-11s | %s" % (self.width, name, envoy, nginx, verdict), flush=True)

    def case(self, case, envoy, nginx, verdict, wrong, difference, show):
        self.row(case.name, envoy, nginx, "FAILED" if wrong else verdict)
        if wrong:
            self.failures.append(case.name)
        for line in wrong:
            print("    ! " + line)
        if wrong or show:
            for line in difference:
                print("    " + line)


    def canary(self, library, envoy, nginx):
        _, wrong, difference = judge(CANARY, library, [], envoy, nginx)
        unseen = [line for line in CANARY_SHOWS if "+ " + line not in difference]
        if unseen or not wrong:
            self.failures.append("canary: what was made to differ was not seen: %s" % unseen)


def refused(case, sides, work, library, recorded, record, report, show):
    """A case whose configuration is not accepted: each proxy for itself."""
    answers = []
    for side in sides:
        proxy = side.make(work / side.make.__name__ / case.slug, [case], side.ports)
        answers.append("started" if proxy.start(patience=20) else "refused")
        proxy.stop()
    difference = transcript.difference(answers[:1], answers[1:])
    if record:
        recorded.put(case, difference)
    wrong = []
    if answers[0] != "refused":
        wrong.append("Envoy does not refuse it")
    verdict = against_record(case, library, recorded.get(case), difference, wrong)
    report.case(case, answers[0], answers[1], verdict, wrong, difference, show)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--nginx", default="nginx")
    parser.add_argument("--library", required=True)
    parser.add_argument("--guests", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    started = time.monotonic()

    library = Library(REPO)
    recorded = Recorded(HERE / "differences")
    everything = load_cases()
    cases = [case for case in everything
             if not options.patterns or any(each in case.name for each in options.patterns)]
    report = Report(max(len(case.name) for case in cases))

    def make_envoy(directory, cases, ports):
        return Envoy(options.envoy, directory, options.guests, cases, ports)

    def make_nginx(directory, cases, ports):
        return Nginx(options.nginx, directory, REPO, options.library, options.guests, cases, ports)

    skipped, runnable = [], []
    for case in cases:
        missing = [name for name in case.covers + case.needs if not library.is_built(name)]
        for name in case.covers:
            if not library.is_known(name) and name not in missing:
                raise SystemExit("%s covers %s, which nobody knows" % (case.name, name))
        if case.http2 and not http2.is_available():
            missing.append("curl with HTTP/2")
        if missing:
            skipped.append((case, missing))
        else:
            runnable.append(case)
    together = [case for case in runnable if not case.refused] + [CANARY]

    shutil.rmtree(options.work, ignore_errors=True)
    sides = [Side(make_envoy), Side(make_nginx)]
    try:
        def play(side):
            if side.start(options.work / side.make.__name__ / "all", together):
                side.run(together)
            if len(side.seen) == len(together):
                side.finish(together)
                side.finished = True

        threads = [threading.Thread(target=play, args=(side,)) for side in sides]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for side in sides:
            if not side.finished:
                print("%s did not run:\n%s" % (side.proxy.name, side.proxy.tail()))
                return 1

        report.row("case", "envoy", "nginx", "")
        for case in runnable:
            if case.refused:
                refused(case, sides, options.work, library, recorded, options.record, report,
                        options.diff)
                continue
            envoy, nginx = (side.seen[case.slug] for side in sides)
            slow = max(side.took[case.slug] for side in sides)
            if slow > 3:
                print("the next one took %.0f s" % slow)
            if options.record:
                recorded.put(case, transcript.difference(envoy[1], nginx[1]))
            verdict, wrong, difference = judge(case, library, recorded.get(case), envoy, nginx)
            report.case(case, statuses(envoy), statuses(nginx), verdict, wrong, difference,
                        options.diff)
        report.canary(library, *(side.seen[CANARY.slug] for side in sides))
    finally:
        for side in sides:
            if side.proxy:
                side.proxy.stop()
    for case, missing in skipped:
        report.row(case.name, "", "", "skipped: there is no " + ", ".join(missing))

    covered = {name for case in runnable for name in case.covers}
    differ = sum(bool(case.differs) for case in runnable)
    print("\n%d cases: %d ran, of which %d differ as documented; %d skipped; %d failed; %.0f s"
          % (len(cases), len(runnable), differ, len(skipped), len(report.failures),
             time.monotonic() - started))
    failed = bool(report.failures)
    if options.record:
        recorded.write()
    if not options.patterns:
        uncovered = sorted(library.must_be_covered() - covered)
        print("%d of %d host functions and callbacks are covered"
              % (len(library.must_be_covered()) - len(uncovered), len(library.must_be_covered())))
        if uncovered:
            print("no case covers: %s" % ", ".join(uncovered))
            failed = True
        if len(runnable) < LEAST:
            print("fewer than %d cases ran" % LEAST)
            failed = True
    for name in report.failures:
        print("failed: " + name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
