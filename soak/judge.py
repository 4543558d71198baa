"""What makes a soak run fail, from what was seen of it. `test_judge.py` breaks
each of these once."""

import dataclasses

# Of all requests, for each kind of failure that came about.
LEAST_SHARE = 0.01
# What a worker's memory may differ from another's of the same age: a few
# instances. And what it may come to need while it serves the same traffic.
SLACK = 24 << 20
GROWTH = 4 << 20


@dataclasses.dataclass
class Facts:
    """Of one run."""

    # Requests of all kinds.
    total: int
    # Answers that are not right, and failures that no recovery was seen of.
    wrong: list
    stuck: list
    # Lines of the log about workers that died.
    deaths: list
    # By kind: how often a plugin failed, or a request ended so; and how often
    # the plugin was seen to work afterwards, in the same worker.
    happened: dict
    recovered: dict
    # Bytes of the master, before and after.
    master: tuple
    # Bytes of the largest worker, each time at the same age.
    peaks: list
    # By worker: bytes early and late in a time without a reload.
    grown: dict
    # Contexts and callouts at the end.
    alive: int


def judge(facts, failures, fallible):
    """Sentences about what went wrong. `failures`: all kinds; `fallible`: those
    after which a plugin must work again."""
    mib = 1 << 20
    failed = [f"wrong answer: {wrong}" for wrong in facts.wrong[:10]]
    failed += [f"never recovered: {stuck}" for stuck in facts.stuck[:10]]
    failed += [f"in the log: {line}" for line in facts.deaths[:10]]
    for kind in failures:
        share = facts.happened.get(kind, 0) / max(facts.total, 1)
        if share < LEAST_SHARE:
            failed.append(f"too little of {kind}: {100 * share:.2f} % of all requests")
    for kind in fallible:
        if not facts.recovered.get(kind, 0):
            failed.append(f"the plugin {kind} was never seen to recover")
    if facts.alive:
        failed.append(f"{facts.alive} contexts or callouts are left")
    begin, end = facts.master
    if end > begin * 1.1 + GROWTH:
        failed.append("the master has grown")
    half = len(facts.peaks) // 2
    if half and max(facts.peaks[half:]) > max(facts.peaks[:half]) * 1.2 + SLACK:
        failed.append("the workers have grown, from one to the next")
    if not facts.grown:
        failed.append("no worker lived long enough to see whether it grows")
    for pid, (early, late) in facts.grown.items():
        if late > early * 1.05 + GROWTH:
            failed.append(f"worker {pid} has grown, from {early / mib:.1f} to {late / mib:.1f} MiB")
    return failed
