"""What the dashboard draws of beats."""

from __future__ import annotations

import pytest

from portal.console.charts import HEIGHT, WIDTH, draw, nice_top
from portal.console.dashboard import rate, seconds
from portal.console.figures import GONE, POINT, figures
from runtime.pulse import Beat, Series

NOW = 1_800_000_007.0


def beat(ago: float, process: str = "ussd-1", **grew: float) -> Beat:
    """One that was told some seconds ago."""
    return Beat(NOW - ago, process, {SERIES[name]: value for name, value in grew.items()})


def series(name: str, **labels: str) -> Series:
    return Series(name, frozenset(labels.items()))


SERIES = {
    "turns": series("rasid_turn_seconds_count", gateway="a", outcome="answered"),
    "recharged": series("rasid_operations_total", kind="recharge", code="ok"),
    "refused": series("rasid_operations_total", kind="recharge", code="voucher_unknown"),
    "bought": series("rasid_operations_total", kind="purchase", code="ok"),
    "fast": series("rasid_settlement_seconds_bucket", gateway="a", le="0.1"),
    "all": series("rasid_settlement_seconds_bucket", gateway="a", le="+Inf"),
    "known": series("rasid_gateway_seconds_count", gateway="a", call="charge", outcome="captured"),
    "unknown": series("rasid_gateway_seconds_count", gateway="a", call="charge", outcome="unknown"),
}


def test_rates_are_of_the_last_ten_seconds_over_all_processes() -> None:
    found = figures(NOW, [beat(3, turns=30), beat(4, "ussd-2", turns=20), beat(60, turns=900)], [])
    assert found.turns == 5.0


def test_only_what_brought_credit_is_a_recharge() -> None:
    assert figures(NOW, [beat(1, recharged=10, refused=7, bought=9)], []).recharges == 1.0


def test_a_chart_shows_whole_points_only_and_keeps_what_it_has_drawn() -> None:
    beats = [beat(7 + POINT, turns=POINT * 4), beat(1, turns=1_000)]
    drawn = figures(NOW, beats, []).turns_chart
    assert drawn.lines[0].last == 4.0
    later = figures(NOW + 5, beats, []).turns_chart
    assert later.lines[0].parts == drawn.lines[0].parts


def test_latency_is_told_where_something_was_settled_and_nowhere_else() -> None:
    found = figures(NOW, [beat(30, fast=98, all=100)], [])
    assert found.p50 == pytest.approx(0.1 * 50 / 98) and found.p99 == 0.1
    assert figures(NOW, [beat(30, turns=1)], []).p99 is None


@pytest.mark.parametrize(("known", "unknown", "tone"), [(0, 0, ""), (100, 1, "good"), (90, 10, "warn"), (1, 9, "bad")])
def test_a_gateway_is_as_well_as_its_answers_are_known(known: float, unknown: float, tone: str) -> None:
    (health,) = figures(NOW, [beat(30, known=known, unknown=unknown)], ["a"]).gateways
    assert (health.calls, health.state[1]) == (known + unknown, tone)


def test_a_process_that_is_not_heard_is_gone() -> None:
    beats = [beat(1, "ussd-1"), beat(2, "ussd-2"), beat(1, "bot-1"), beat(GONE + 1, "bot-2")]
    assert figures(NOW, beats, []).processes == {"ussd": 2, "bot": 1}


def test_a_chart_begins_and_ends_at_its_edges_and_leaves_gaps_open() -> None:
    (line,) = draw([("x", "data", [0.0, 10.0, None, 5.0, 0.0])]).lines
    assert line.parts == (f"0.0,{HEIGHT}.0 150.0,0.0", f"450.0,{HEIGHT / 2} {WIDTH}.0,{HEIGHT}.0")
    assert line.last == 0.0


@pytest.mark.parametrize(("most", "top"), [(0, 1), (0.3, 0.5), (7, 10), (10, 10), (11, 20), (2400, 2500)])
def test_a_scale_ends_at_a_round_number(most: float, top: float) -> None:
    assert nice_top(most) == pytest.approx(top)


def test_times_and_rates_are_written_short() -> None:
    assert [seconds(one) for one in (None, 0.0123, 0.99, 1.5)] == ["–", "12 ms", "990 ms", "1.50 s"]
    assert [rate(one) for one in (0, 4.72, 1234.5)] == ["0.0", "4.7", "1,234"]
