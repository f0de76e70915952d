"""The charts beside the figures: SVG on a light card of their own, so that they read on light and dark pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

#: blue, orange, green and purple that people with any colour vision tell apart (Okabe and Ito), ours first
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
_STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#24292f",
    foreground_strong="#24292f",
    foreground_subtle="#8c959f",
    opacity="1",
    opacity_hover="1",
    colors=COLOURS,
    value_colors=("#24292f",) * len(COLOURS),
    font_family="system-ui, sans-serif",
    guide_stroke_color="#d0d7de",
    major_guide_stroke_color="#d0d7de",
    title_font_size=18,
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=13,
    value_font_size=13,
)


def draw(name: str, chapter: dict[str, Any], folder: Path) -> None:
    """Write ``<name>.svg`` (rates) and ``<name>-latency.svg`` of a chapter of ``results.json``."""
    rates, latencies = CHARTS[name](chapter)
    (folder / f"{name}.svg").write_bytes(rates.render())
    (folder / f"{name}-latency.svg").write_bytes(latencies.render())


def _bars(title: str, labels: list[str], unit: str, *, decimals: int = 0) -> Any:
    chart = pygal.Bar(
        style=_STYLE,
        title=title,
        y_title=unit,
        width=760,
        height=400,
        explicit_size=True,
        legend_at_bottom=True,
        print_values=True,
        print_values_position="top",
        value_formatter=lambda value: f"{value:,.{decimals}f}",
        js=[],
        no_prefix=True,
        pretty_print=True,
        include_x_axis=True,
        margin=20,
        spacing=12,
        truncate_label=-1,
    )
    chart.x_labels = labels
    chart.add_xml_filter(_still)
    return chart


def _still(root: Any) -> Any:
    """Take the script out: a picture that fetches nothing and is the same wherever it is shown."""
    for parent in list(root.iter()):
        for script in parent.findall("{*}script"):
            parent.remove(script)
    return root


def _door(chapter: dict[str, Any]) -> tuple[Any, Any]:
    ours = [one for one in chapter["series"] if one["subject"].startswith("recharge")]
    floor = max((one for one in chapter["series"] if one["subject"] == "tpc-b"), key=lambda one: float(one["rate"]))
    labels = [
        _many(one["load"], "caller") if one["subject"] == "recharge" else f"{one['load']}, 2 processes" for one in ours
    ]
    rates = _bars("Recharges per second through the one door, each durable", labels, "per second")
    rates.add("recharge with voucher", [one["rate"] for one in ours])
    rates.add(f"pgbench TPC-B at its best ({_many(floor['load'], 'client')})", [floor["rate"]] * len(ours))
    return rates, _latencies("How long a recharge takes", ours, labels)


def _settlements(chapter: dict[str, Any]) -> tuple[Any, Any]:
    by_subject = {one["subject"]: one for one in chapter["series"] if one["subject"] != "tpc-b"}
    floor = max((one for one in chapter["series"] if one["subject"] == "tpc-b"), key=lambda one: float(one["rate"]))
    books = ["one database", "three databases"]
    rates = _bars("Settlements per second through the one door, 256 callers, each durable", books, "per second")
    for processes, suffix in (("one process", ""), ("two processes", ", 2 processes")):
        rates.add(f"settlement, callers in {processes}", [by_subject[name + suffix]["rate"] for name in books])
    rates.add(f"pgbench TPC-B at its best ({_many(floor['load'], 'client')})", [floor["rate"]] * len(books))
    labels = [name.replace(" databases", "").replace(" database", "") for name in by_subject]
    return rates, _latencies("How long a settlement takes, by databases", list(by_subject.values()), labels)


def _turns(chapter: dict[str, Any]) -> tuple[Any, Any]:
    subjects = ("balance turn", "menu, then balance", "fixed answer")
    by_subject = {name: [one for one in chapter["series"] if one["subject"] == name] for name in subjects}
    labels = [_many(one["load"], "connection") for one in by_subject["balance turn"]]
    rates = _bars("Turns per second and process, over HTTP", labels, "per second")
    for name, series in by_subject.items():
        rates.add("aiohttp, fixed answer" if name == "fixed answer" else name, [one["rate"] for one in series])
    return rates, _latencies("How long a balance turn takes", by_subject["balance turn"], labels)


def _messages(chapter: dict[str, Any]) -> tuple[Any, Any]:
    by_subject = {one["subject"]: one for one in chapter["series"]}
    rates = _bars("Texts per second: one worker, one SMPP connection", ["ours", "floor"], "per second")
    for label, ours, floor in (
        ("over HTTP, the carrier takes 50 ms", "text delivered", "bare post"),
        ("over SMPP, a window of 50", "submit_sm", "submit_sm, bare socket"),
    ):
        rates.add(label, [by_subject[ours]["rate"], by_subject[floor]["rate"]])
    alert = by_subject["alert after a charge"]
    labels = [f"{alert['load']:,} charges a second"]
    return rates, _latencies("From a charge to the carrier that has its alert", [alert], labels)


def _latencies(title: str, series: list[dict[str, Any]], labels: list[str]) -> Any:
    chart = _bars(title, labels, "milliseconds", decimals=1)
    chart.add("half are faster (p50)", [one["p50_ms"] for one in series])
    chart.add("99 of 100 are faster (p99)", [one["p99_ms"] for one in series])
    return chart


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


#: the chapters that are drawn
CHARTS = {"door": _door, "settlements": _settlements, "turns": _turns, "messages": _messages}
