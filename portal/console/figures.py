"""What the beats of all processes come to, as the dashboard draws it: rates, latencies, and how gateways are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dialogs.values import Text, text
from portal.console.charts import Chart, draw
from runtime.pulse import EVERY_SECONDS, KEPT_SECONDS, Beat, Series, quantile

#: seconds of one point of a chart, of what "now" means for a rate, and for a gateway
POINT, NOW, LATELY = 15, 10, 300
#: seconds after which a process that has not been heard is gone
GONE = 3 * EVERY_SECONDS
POINTS = KEPT_SECONDS // POINT
#: operations that bring credit
RECHARGES = frozenset({"recharge", "settle", "advance"})
#: share of a gateway's answers that nobody understands, from which on it is ill, and from which it is down
ILL, DOWN = 0.05, 0.5

Wanted = Callable[[Series], bool]


class GatewayHealth(NamedTuple):
    """How one payment gateway has answered lately."""

    name: str
    calls: int
    #: share of calls of which nobody knows what came of them
    unknown: float
    #: seconds
    p50: float | None
    p95: float | None

    @property
    def state(self) -> tuple[Text, str]:
        """In a word, and its tone."""
        if not self.calls:
            return text("Quiet"), ""
        if self.unknown >= DOWN:
            return text("Down"), "bad"
        return (text("Ill"), "warn") if self.unknown >= ILL else (text("Well"), "good")


class Figures(NamedTuple):
    """All that is drawn."""

    #: in a second, over the last ten
    turns: float
    recharges: float
    settlements: float
    #: seconds, over the last five minutes; None: nothing was settled
    p50: float | None
    p99: float | None
    turn_p99: float | None
    turns_chart: Chart
    recharges_chart: Chart
    latency_chart: Chart
    gateways: tuple[GatewayHealth, ...]
    #: what each process is, how many there are
    processes: dict[str, int]


def figures(now: float, beats: Sequence[Beat], gateways: Iterable[str]) -> Figures:
    """What ``beats`` come to at ``now`` (seconds since 1970)."""
    lately = [one for one in beats if one.at > now - LATELY]
    settled = _buckets(lately, _of("rasid_settlement_seconds_bucket"))
    alive = {one.process for one in beats if one.at > now - GONE}
    kinds: defaultdict[str, int] = defaultdict(int)
    for process in alive:
        kinds[process.partition("-")[0]] += 1
    points = _points(now, beats)
    return Figures(
        turns=_rate(now, beats, is_turn),
        recharges=_rate(now, beats, is_recharge),
        settlements=_rate(now, beats, _of("rasid_settlement_seconds_count")),
        p50=quantile(settled, 0.5),
        p99=quantile(settled, 0.99),
        turn_p99=quantile(_buckets(lately, _of("rasid_turn_seconds_bucket")), 0.99),
        turns_chart=draw([("turns", "data", [_sum(one, is_turn) / POINT for one in points])]),
        recharges_chart=draw([("recharges", "money", [_sum(one, is_recharge) / POINT for one in points])]),
        latency_chart=draw(
            [
                (name, tone, [_latency(one, share) for one in points])
                for name, tone, share in (("p50", "data", 0.5), ("p95", "talk", 0.95), ("p99", "bad", 0.99))
            ],
            " s",
        ),
        gateways=tuple(_health(name, lately) for name in sorted(gateways)),
        processes=dict(kinds),
    )


def is_turn(series: Series) -> bool:
    """Whether it counts turns."""
    return series.name == "rasid_turn_seconds_count"


def is_recharge(series: Series) -> bool:
    """Whether it counts operations that brought credit."""
    known = series.name == "rasid_operations_total" and series.label("code") == "ok"
    return known and series.label("kind") in RECHARGES


def _of(name: str) -> Wanted:
    return lambda series: series.name == name


def _sum(beats: Iterable[Beat], wanted: Wanted) -> float:
    return sum(value for beat in beats for series, value in beat.grew.items() if wanted(series))


def _rate(now: float, beats: Sequence[Beat], wanted: Wanted) -> float:
    return _sum((one for one in beats if one.at > now - NOW), wanted) / NOW


def _points(now: float, beats: Sequence[Beat]) -> list[list[Beat]]:
    """The beats of each point, the oldest first. Points begin at whole times, so that what was drawn stays."""
    last = int(now // POINT)
    points: list[list[Beat]] = [[] for _ in range(POINTS)]
    for beat in beats:
        # The point that has just begun would show a dip: it is drawn once it is over.
        place = POINTS - (last - int(beat.at // POINT))
        if 0 <= place < POINTS:
            points[place].append(beat)
    return points


def _buckets(beats: Iterable[Beat], wanted: Wanted) -> dict[float, float]:
    buckets: defaultdict[float, float] = defaultdict(float)
    for beat in beats:
        for series, value in beat.grew.items():
            if wanted(series):
                buckets[float(series.label("le"))] += value
    return dict(_filled(buckets))


def _filled(buckets: dict[float, float]) -> Iterable[tuple[float, float]]:
    """Bounds that nothing came under are not told; what is told never falls from one bound to the next."""
    most = 0.0
    for bound in sorted(buckets):
        most = max(most, buckets[bound])
        yield bound, most


def _latency(beats: Iterable[Beat], share: float) -> float | None:
    return quantile(_buckets(beats, _of("rasid_settlement_seconds_bucket")), share)


def _health(name: str, beats: Sequence[Beat]) -> GatewayHealth:
    def own(series: Series, kind: str) -> bool:
        """A series of this gateway's calls."""
        return series.name == f"rasid_gateway_seconds_{kind}" and series.label("gateway") == name

    calls = _sum(beats, lambda series: own(series, "count"))
    unknown = _sum(beats, lambda series: own(series, "count") and series.label("outcome") == "unknown")
    buckets = _buckets(beats, lambda series: own(series, "bucket"))
    share = unknown / calls if calls else 0.0
    return GatewayHealth(name, int(calls), share, quantile(buckets, 0.5), quantile(buckets, 0.95))
