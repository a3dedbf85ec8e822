"""Interleaves, times and prints. Knows nothing of what is measured."""

import json
import signal
import statistics
import sys
import time

from .session import Session


def run(benchmarks, rounds, as_json):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that teardown runs
    session = Session()
    results = []
    for kind in benchmarks:
        result = measure(kind(session), rounds or kind.rounds)
        results.append(result)
        if as_json:
            print(json.dumps(result), flush=True)
    if not as_json:
        print(table(results, session.versions()))
    return 0


def measure(benchmark, rounds):
    contenders = {"ours": benchmark.ours, **benchmark.peers()}
    samples = {name: [] for name in contenders}
    try:
        benchmark.setup()
        for number in range(rounds):
            for name, work in contenders.items():
                benchmark.reset(name)
                started = time.perf_counter()
                work()
                took = (time.perf_counter() - started) * 1000
                benchmark.verify(name)
                samples[name].append(took)
                print(f"{benchmark.id} {number + 1}/{rounds} {name}: {took:.0f} ms", file=sys.stderr)
    finally:
        benchmark.teardown()
    ours = summary(samples.pop("ours"))
    peers = {name: summary(taken) for name, taken in samples.items()}
    return {
        "id": benchmark.id,
        "work": benchmark.work,
        "unit": "ms",
        "ours": ours,
        "peers": peers,
        "ratio": {name: round(peer["p50"] / ours["p50"], 2) for name, peer in peers.items()},
    }


def summary(samples):
    ordered = sorted(samples)
    p90 = ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    return {
        "p50": round(statistics.median(ordered), 1),
        "p90": round(p90, 1),
        "min": round(ordered[0], 1),
        "n": len(ordered),
    }


def table(results, versions):
    lines = ["| id | work | ours p50 (p90) | peer | peer p50 (p90) | peer ÷ ours |", "|---|---|---|---|---|---|"]
    for result in results:
        ours = f"{milliseconds(result['ours']['p50'])} ({milliseconds(result['ours']['p90'])})"
        for name, peer in result["peers"].items() or [("–", None)]:
            theirs = f"{milliseconds(peer['p50'])} ({milliseconds(peer['p90'])})" if peer else "–"
            ratio = f"{result['ratio'][name]:.2f}" if peer else "–"
            lines.append(f"| {result['id']} | {result['work']} | {ours} | {name} | {theirs} | {ratio} |")
    return "\n".join([*lines, "", versions])


def milliseconds(value):
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms"
