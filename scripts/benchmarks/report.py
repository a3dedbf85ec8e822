"""From samples to figures, and from figures to Markdown."""

import statistics

HEAD = ["| id | work | ours p50 (p90) | peer | peer p50 (p90) | peer ÷ ours |", "|---|---|---|---|---|---|"]


def result(benchmark, case, samples, failures):
    samples = dict(samples)
    ours = summary(samples.pop("ours"))
    peers = {name: summary(taken) for name, taken in samples.items() if taken}
    return {
        "id": benchmark.id,
        "case": case,
        "work": benchmark.work,
        "unit": benchmark.unit,
        "ours": ours,
        "peers": peers,
        "ratio": ratios(ours, peers) if benchmark.compares else {},
        "gates": benchmark.gates,
        "failed": failures,
    }


def ratios(ours, peers):
    return {name: round(peer["p50"] / max(ours["p50"], 0.1), 2) for name, peer in peers.items()}


def summary(samples):
    ordered = sorted(samples)
    p90 = ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    return {
        "p50": round(statistics.median(ordered), 1),
        "p90": round(p90, 1),
        "min": round(ordered[0], 1),
        "n": len(ordered),
    }


def missed(results):
    """A sentence for each ratio below its gate."""
    return [
        f"{name_of(result)}: {result['ratio'][peer]} times `{peer}` is below the gate of {gate}"
        for result in results
        for peer, gate in result.get("gates", {}).items()
        if result["ratio"].get(peer, gate) < gate
    ]


def name_of(result):
    return " ".join(filter(None, [result["id"], result.get("case")]))


def table(results):
    return "\n".join([*HEAD, *(line for result in results for line in rows(result)), *footnotes(results)])


def rows(result):
    work = ", ".join(filter(None, [result["work"], result.get("case")]))
    if "skipped" in result:
        yield f"| {result['id']} | {work} | skipped: {result['skipped']} | – | – | – |"
        return
    unit = result["unit"]
    ours = both(result["ours"], unit)
    for name, peer in result["peers"].items():
        ratio = f"{result['ratio'][name]:.2f}" if name in result["ratio"] else "–"
        yield f"| {result['id']} | {work} | {ours} | {name} | {both(peer, unit)} | {ratio} |"
    for name in result["failed"]:
        yield f"| {result['id']} | {work} | {ours} | {name} | failed | – |"


def footnotes(results):
    noted = [result for result in results if result.get("notes")]
    return ["", *(f"{name_of(result)}: {note(result['notes'])}." for result in noted)] if noted else []


def note(notes):
    return "; ".join(f"{key}: {', '.join(f'{who} {value}' for who, value in of.items())}" for key, of in notes.items())


def both(figures, unit):
    return f"{amount(figures['p50'], unit)} ({amount(figures['p90'], unit)})"


def amount(value, unit):
    if unit != "ms":
        return f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms"


def machine(versions):
    return ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
