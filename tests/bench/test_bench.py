"""The benchmark: a tiny run is whole, a wrong answer stops it, figures say what they mean. Nothing here is timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web

from bench.figures import Chapter, Ratio, Sample, Series, as_json, over, percentile, spread, within
from bench.load import Exchange, WrongAnswer, drive
from tests.bench.conftest import Measured
from tests.serving import serving


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_tiny_run_measures_all_parts_and_keeps_results_and_charts(measured: Measured, tmp_path: Path) -> None:
    results = await measured("--runs", "1", "--seconds", "1", "--accounts", "200", "--lines", "50")
    door, turns, messages = results["door"], results["turns"], results["messages"]
    settlements = results["settlements"]
    assert "campaign" not in results
    assert {(one["subject"], one["load"]) for one in door["series"]} == {
        *(("tpc-b", clients) for clients in (1, 2, 4, 8, 16, 32)),
        *(("recharge", callers) for callers in (1, 16, 64, 256)),
        ("recharge, 2 processes", 256),
    }
    assert {(one["subject"], one["load"]) for one in turns["series"]} == {
        (subject, connections)
        for subject in ("fixed answer", "balance turn", "menu, then balance")
        for connections in (32, 128)
    }
    assert {(one["subject"], one["load"]) for one in settlements["series"] if one["subject"] != "tpc-b"} == {
        (name + processes, 256) for name in ("one database", "three databases") for processes in ("", ", 2 processes")
    }
    assert all(
        one["rate"] > 0 and len(one["samples"]) == 1
        for part in (door, settlements, turns, messages)
        for one in part["series"]
    )
    assert door["facts"]["violations"] == settlements["facts"]["violations"] == 0
    assert {one["target"] for one in settlements["ratios"]} == {None, 3.0, 1.0}
    assert (door["facts"]["fsync"], door["facts"]["synchronous_commit"]) == ("on", "on")
    assert {one["target"] for one in door["ratios"] + turns["ratios"]} == {None, 2.5, 0.25}
    assert turns["memory_mb"]["server idle"] > 0
    assert {one["subject"] for one in messages["series"]} == {
        *("text delivered", "bare post", "charge", "alert after a charge", "submit_sm", "submit_sm, bare socket")
    }
    parts = ("door", "settlements", "turns", "messages")
    for chart in (*parts, *(f"{part}-latency" for part in parts)):
        drawn = ET.parse(tmp_path / f"{chart}.svg").getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert drawn.find(".//{*}script") is None
        assert not [part for part in drawn.iter() if part.get("src") or part.get("{http://www.w3.org/1999/xlink}href")]
    assert "| recharge, 256 at once / best tpc-b |" in (tmp_path / "results.md").read_text()


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_campaign_that_is_killed_twice_writes_to_every_number_once_or_names_it(measured: Measured) -> None:
    campaign = (await measured("--only", "campaign", "--numbers", "2000"))["campaign"]
    facts = campaign["facts"]
    assert (facts["got it more than once"], facts["got none, not named"]) == (0, 0)
    assert facts["got it once"] + facts["got none, parked as unknown"] == 2000
    assert 0 < facts["written when the writer was killed"] < 2000
    assert 0 < facts["sent when the worker was killed"] < 2000
    assert [ratio["reached"] for ratio in campaign["ratios"]] == [True]


@pytest.fixture
async def port() -> Iterator[int]:
    """A server that answers in two pieces what it was sent, behind ``CON ``."""

    async def echo(request: web.Request) -> web.StreamResponse:
        body = b"CON " + await request.read()
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[:6])
        await asyncio.sleep(0)
        await response.write(body[6:])
        return response

    application = web.Application()
    application.add_routes([web.post("/", echo)])
    async with serving(application) as url:
        yield int(url.rpartition(":")[2])


def _request(body: bytes, holds: bytes) -> Exchange:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return Exchange(request, b"CON ", holds)


async def test_every_connection_asks_until_it_has_no_more_to_ask(port: int) -> None:
    driven = await drive(port, 3, 60.0, lambda: iter([_request(b"KES 12.50", b"12.50")] * 7))
    assert len(driven.latencies) == 21
    assert 0 < max(driven.latencies) <= driven.seconds


async def test_an_answer_meant_for_somebody_else_stops_the_measurement(port: int) -> None:
    with pytest.raises(WrongAnswer, match=r"12\.50"):
        await drive(port, 2, 60.0, lambda: iter([_request(b"KES 12.50", b"99.00")]))


async def test_an_answer_that_is_not_200_stops_the_measurement(port: int) -> None:
    lost = Exchange(b"POST /lost HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"", b"")
    with pytest.raises(WrongAnswer, match="404"):
        await drive(port, 1, 60.0, lambda: iter([lost]))


def _series(*rates: float) -> Series:
    return Series(subject="x", load=1, samples=[Sample(rate=rate, p99_ms=2.0, cpu_us={"a": rate}) for rate in rates])


def test_what_is_told_is_the_median_and_how_far_the_runs_lie_apart() -> None:
    told = as_json(Chapter(series=[_series(10, 30, 20)], ratios=[]))["series"][0]
    assert (told["rate"], told["spread"], told["p50_ms"], told["p99_ms"]) == (20, 1.0, None, 2.0)
    assert told["cpu_us"] == {"a": 20}
    assert spread([4.0, 5.0, 6.0]) == 0.4


@pytest.mark.parametrize(("target", "reached"), [(2.0, True), (2.01, False), (None, None)])
def test_a_target_is_reached_by_the_median_not_by_the_best_run(target: float | None, reached: bool | None) -> None:
    assert Ratio(name="x", values=[1.0, 9.0, 2.0], target=target).reached is reached


def test_a_rate_is_told_over_the_best_floor_of_its_own_run() -> None:
    assert over(_series(10, 30), _series(5, 10), _series(2, 20)) == [2.0, 1.5]
    assert within(10.0, _series(1, 2)) == [5.0, 5.0]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert (percentile(ordered, 0.5), percentile(ordered, 0.99), percentile([7.0], 0.99)) == (51.0, 100.0, 7.0)
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)
