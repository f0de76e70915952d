"""Samples, medians and spreads: what a measurement comes to, and how it is kept as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. ``cpu_us``: CPU microseconds for each item, by process; steady where clock time is not."""

    #: items per second
    rate: float
    #: milliseconds; a floor that reports no percentiles leaves them out
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: dict[str, float] = {}


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of one subject at one load, one for each run."""

    subject: str
    #: callers, clients or connections at once
    load: int
    samples: list[Sample]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A subject over its floor, run by run: each value comes from two measurements of the same run."""

    name: str
    values: list[float]
    #: what must be reached; None where the ratio is only told
    target: float | None = None

    @property
    def median(self) -> float:
        """The median over the runs."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median is at the target or above; None without a target."""
        return None if self.target is None else self.median >= self.target


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """All that one part of the benchmark found: ``door`` or ``turns``."""

    series: list[Series]
    ratios: list[Ratio]
    #: process → MB at a moment: {"server idle": 92.1}
    memory_mb: dict[str, float] = {}
    #: what was set up, and what was checked afterwards
    facts: dict[str, Any] = {}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of an ordered sequence lies (nearest rank). Raises ``ValueError`` on nothing."""
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def sample(seconds: float, latencies: list[float], cpu_seconds: dict[str, float] | None = None) -> Sample:
    """A sample of ``latencies`` (seconds, one for each item) that took ``seconds`` together."""
    ordered = sorted(latencies)
    return Sample(
        rate=round(len(ordered) / seconds, 1),
        p50_ms=round(percentile(ordered, 0.5) * 1000, 3),
        p99_ms=round(percentile(ordered, 0.99) * 1000, 3),
        cpu_us={name: round(spent / len(ordered) * 1e6, 1) for name, spent in (cpu_seconds or {}).items()},
    )


class Subject(NamedTuple):
    """What is measured in turn with others: where its samples go, what is told of it, and one measurement."""

    series: Series
    told: str
    measure: Callable[[], Awaitable[Sample]]


async def take_turns(runs: int, subjects: Sequence[Subject], tell: Callable[[str], None]) -> None:
    """Measure each subject once in each run: what slows the machine down for a while slows all of them down."""
    for run in range(runs):
        for subject in subjects:
            tell(f"run {run + 1} of {runs}: {subject.told}")
            subject.series.samples.append(await subject.measure())


def over(ours: Series, *floors: Series) -> list[float]:
    """A subject's rate over its floor's, run by run; of several floors the best of each run counts."""
    return [
        one.rate / max(floor.rate for floor in beside)
        for one, *beside in zip(ours.samples, *(floor.samples for floor in floors), strict=True)
    ]


def within(milliseconds: float, series: Series) -> list[float]:
    """A bound over what the slowest of a hundred took, run by run: from 1 on they kept it."""
    return [milliseconds / one.p99_ms for one in series.samples if one.p99_ms]


def median_of(series: Series, field: str) -> float | None:
    """The median of a field of the samples (``rate``, ``p50_ms``, ``p99_ms``), None where it was not measured."""
    values = [value for one in series.samples if (value := getattr(one, field)) is not None]
    return statistics.median(values) if values else None


def median_cpu(series: Series) -> dict[str, float]:
    """The medians of CPU microseconds for each item, by process."""
    names = series.samples[0].cpu_us
    return {name: statistics.median(one.cpu_us[name] for one in series.samples) for name in names}


def spread(values: Sequence[float]) -> float:
    """How far apart the runs lie: (largest - smallest) / median."""
    return (max(values) - min(values)) / statistics.median(values)


def as_json(chapter: Chapter) -> dict[str, Any]:
    """A chapter for ``results.json``: medians and spreads first, then the samples that they come from."""
    return {
        "ratios": [
            {
                "name": one.name,
                "median": round(one.median, 3),
                "spread": round(spread(one.values), 3),
                "target": one.target,
                "reached": one.reached,
                "values": [round(value, 3) for value in one.values],
            }
            for one in chapter.ratios
        ],
        "series": [_series(one) for one in chapter.series],
        "memory_mb": chapter.memory_mb,
        "facts": chapter.facts,
    }


def _series(one: Series) -> dict[str, Any]:
    return {
        "subject": one.subject,
        "load": one.load,
        "rate": median_of(one, "rate"),
        "spread": round(spread([sample.rate for sample in one.samples]), 3),
        "p50_ms": median_of(one, "p50_ms"),
        "p99_ms": median_of(one, "p99_ms"),
        "cpu_us": median_cpu(one),
        "samples": msgspec.to_builtins(one.samples),
    }
