"""Interleaves and times. Knows nothing of what is measured, nor how it is printed."""

import json
import signal
import sys
import time

from . import report
from .session import Failed, Session, Skipped


def run(benchmarks, options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that teardown runs
    session = Session(options.binary, options.scale)
    results = []
    try:
        for kind in benchmarks:
            for result in measure(kind(session), options.rounds or kind.rounds):
                results.append(result)
                if options.json:
                    print(json.dumps({**result, "versions": session.versions()}), flush=True)
    finally:
        session.close()
    if not options.json:
        print(report.table(results))
        print(f"\n{report.machine(session.versions())}")
    missed = report.missed(results) if options.gate else []
    for line in missed:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if missed else 0


def measure(benchmark, rounds):
    """The results of a benchmark, one for each of its cases."""
    results = []
    try:
        benchmark.setup()
        for case in benchmark.cases():
            benchmark.enter(case)
            results.append(report.result(benchmark, case, *rounds_of(benchmark, case, rounds)))
        results[-1]["notes"] = benchmark.notes(results)
    except Skipped as reason:
        say(f"{benchmark.id} skipped: {reason}")
        results = [{"id": benchmark.id, "work": benchmark.work, "skipped": str(reason)}]
    finally:
        benchmark.teardown()
    return results


def rounds_of(benchmark, case, rounds):
    contenders = {"ours": benchmark.ours, **benchmark.peers()}
    samples = {name: [] for name in contenders}
    failures = {}
    for number in range(rounds):
        for name, work in contenders.items():
            if name in failures:
                continue
            benchmark.reset(name)
            try:
                sample = timed(work)
                benchmark.verify(name)
            except Failed as failure:
                if name not in benchmark.may_fail:
                    raise
                failures[name] = str(failure)
                say(f"{benchmark.id} {name} failed: {failure}")
                continue
            samples[name].append(sample)
            label = " ".join(filter(None, [benchmark.id, case, f"{number + 1}/{rounds}"]))
            say(f"{label} {name}: {sample:.0f} {benchmark.unit}")
    return samples, failures


def timed(work):
    started = time.perf_counter()
    own = work()
    return own if own is not None else (time.perf_counter() - started) * 1000


def say(text):
    print(text, file=sys.stderr, flush=True)
