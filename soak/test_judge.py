"""Each reason for which a soak run fails, alone: python3 soak/test_judge.py"""

import dataclasses
import tempfile
import unittest

from judge import Facts, judge
from run import Log

FALLIBLE = ["trap", "open"]
FAILURES = [*FALLIBLE, "abort"]
MIB = 1 << 20
FINE = Facts(
    total=1000,
    wrong=[],
    stuck=[],
    deaths=[],
    happened={"trap": 10, "open": 12, "abort": 20},
    recovered={"trap": 9, "open": 12},
    master=(50 * MIB, 55 * MIB),
    peaks=[80 * MIB, 90 * MIB, 85 * MIB, 95 * MIB],
    grown={1: (80 * MIB, 83 * MIB), 2: (80 * MIB, 79 * MIB)},
    alive=0,
)


class Judged(unittest.TestCase):
    def failed(self, **changes):
        return judge(dataclasses.replace(FINE, **changes), FAILURES, FALLIBLE)

    def test_nothing_is_wrong(self):
        self.assertEqual(self.failed(), [])

    def test_each_thing_that_is_wrong(self):
        for changes, expected in [
            ({"wrong": ["good: 500"]}, "wrong answer: good: 500"),
            ({"stuck": ["trap"]}, "never recovered: trap"),
            ({"deaths": ["exited on signal 11"]}, "in the log: exited on signal 11"),
            ({"happened": FINE.happened | {"trap": 9}}, "too little of trap: 0.90 % of all requests"),
            ({"happened": {"trap": 10, "open": 12}}, "too little of abort: 0.00 % of all requests"),
            ({"recovered": {"trap": 9}}, "the plugin open was never seen to recover"),
            ({"alive": 1}, "1 contexts or callouts are left"),
            ({"master": (50 * MIB, 60 * MIB)}, "the master has grown"),
            ({"peaks": [80 * MIB, 80 * MIB, 80 * MIB, 121 * MIB]}, "the workers have grown, from one to the next"),
            ({"grown": {1: (80 * MIB, 89 * MIB)}}, "worker 1 has grown, from 80.0 to 89.0 MiB"),
            ({"grown": {}}, "no worker lived long enough to see whether it grows"),
        ]:
            self.assertEqual(self.failed(**changes), [expected])

    def test_what_the_log_tells(self):
        dropped = "[error] 7#7: *1 [proxy-wasm] trap: root 1: proxy_on_log failed, the instance is dropped: x\n"
        died = "[alert] 1#1: worker process 7 exited on signal 11\n"
        with tempfile.NamedTemporaryFile("w") as file:
            log = Log(file.name)
            print(dropped, died, sep="", end="", file=file, flush=True)
            log.begin()
            self.assertEqual((dict(log.dropped), log.aborted), ({}, 0))
            print(dropped, "soak: the client went away\n", dropped[:30], sep="", end="", file=file, flush=True)
            log.read()
            self.assertEqual((dict(log.dropped), log.aborted), ({"trap": 1}, 1))
            print(dropped[30:], end="", file=file, flush=True)
            log.read()
            self.assertEqual(dict(log.dropped), {"trap": 2})
            self.assertEqual(log.deaths, [died.strip()])


if __name__ == "__main__":
    unittest.main()
