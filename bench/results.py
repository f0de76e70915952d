"""What is kept of a run: ``results.json`` for programs, ``results.md`` and a table on the terminal for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.charts import CHARTS


def write(results: dict[str, Any], folder: Path) -> None:
    """Put ``results.json`` and ``results.md`` into ``folder``; chapters that were not measured now stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    merged = {**kept, **results}
    path.write_text(json.dumps(merged, indent=2, ensure_ascii=False) + "\n")
    (folder / "results.md").write_text(_markdown(merged))


def show(chapters: dict[str, Any], console: Console) -> None:
    """Every ratio with its target, then every series, as tables."""
    for name, chapter in chapters.items():
        table = Table(*_RATIO_HEADINGS, title=f"{name}: ratios", title_justify="left")
        for ratio in chapter["ratios"]:
            table.add_row(*_ratio_row(ratio), style={True: "green", False: "red", None: ""}[ratio["reached"]])
        console.print(table)
        if chapter["series"]:
            table = Table(*_SERIES_HEADINGS, title=f"{name}: medians", title_justify="left")
            for one in chapter["series"]:
                table.add_row(*_series_row(one))
            console.print(table)
        if chapter["memory_mb"]:
            console.print("MB  " + "  ".join(f"{what}: {held:g}" for what, held in chapter["memory_mb"].items()))


_RATIO_HEADINGS = ("ratio", "median", "runs", "spread", "target", "reached")
_SERIES_HEADINGS = ("what", "at once", "per second", "spread", "p50 ms", "p99 ms", "CPU µs each")


def _ratio_row(ratio: dict[str, Any]) -> tuple[str, ...]:
    return (
        ratio["name"],
        f"{ratio['median']:.3g}",
        " ".join(f"{value:.3g}" for value in ratio["values"]),
        f"{ratio['spread']:.0%}",
        "" if ratio["target"] is None else f"≥ {ratio['target']:g}",
        {True: "yes", False: "NO", None: ""}[ratio["reached"]],
    )


def _series_row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["subject"],
        str(one["load"]),
        f"{one['rate']:,.0f}",
        f"{one['spread']:.0%}",
        "" if one["p50_ms"] is None else f"{one['p50_ms']:.1f}",
        "" if one["p99_ms"] is None else f"{one['p99_ms']:.1f}",
        ", ".join(f"{name} {spent:.0f}" for name, spent in one["cpu_us"].items()),
    )


def _markdown(results: dict[str, Any]) -> str:
    lines = [
        "# Results",
        "",
        "Written by `make bench`; what is measured and how: [benchmarks.md](../benchmarks.md).",
        "",
    ]
    for name in (
        *("door", "charges", "scale", "reservations", "settlements", "validation", "callbacks"),
        *("turns", "sessions", "nchf", "radius", "messages", "campaign"),
        *("portal", "searches", "mediation", "reconciliation"),
    ):
        if name not in results:
            continue
        chapter = results[name]
        drawn = name in CHARTS
        lines += [f"## {name.capitalize()}", ""]
        lines += [f"![{name}]({name}.svg)", ""] if drawn else []
        lines += _rows(_RATIO_HEADINGS, [_ratio_row(one) for one in chapter["ratios"]])
        if chapter["series"]:
            lines += _rows(_SERIES_HEADINGS, [_series_row(one) for one in chapter["series"]])
        lines += [f"![{name}: latency]({name}-latency.svg)", ""] if drawn else []
        if chapter["memory_mb"]:
            lines += _rows(("memory", "MB"), [(what, f"{held:g}") for what, held in chapter["memory_mb"].items()])
        lines += _rows(("run", ""), [(what, str(value)) for what, value in chapter["facts"].items()])
    return "\n".join(lines)


def _rows(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [
        "| " + " | ".join(headings) + " |",
        "|" + " --- |" * len(headings),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
