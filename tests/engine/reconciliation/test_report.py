"""Reports hold everything that was found, and nothing that somebody else wrote runs in them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from engine.reconciliation import report
from engine.reconciliation.cases import Discrepancy
from engine.reconciliation.runs import Figure, PastRun
from engine.reconciliation.tables import Kind, State

EVIL = "<script>alert(1)</script>"


def discrepancy(**more: object) -> Discrepancy:
    """Something that differs."""
    given: dict[str, object] = {
        "discrepancy_id": uuid4(),
        "gateway": "mpesa",
        "day": date(2026, 5, 1),
        "kind": Kind.MISSING_HERE,
        "reason": "payment_unknown",
        "name": "SLF7",
        "account": None,
        "payment_id": None,
        "stated": 123_450,
        "stated_currency": "KES",
        "stated_at": datetime(2026, 5, 1, tzinfo=UTC),
        "booked": 0,
        "booked_currency": None,
        "booked_at": None,
        "exact": False,
        "live": True,
        "state": State.OPEN,
        "owner": None,
        "resolution": None,
        "found_at": datetime(2026, 5, 2, tzinfo=UTC),
        "changed_at": datetime(2026, 5, 2, tzinfo=UTC),
    }
    return Discrepancy(**given | more)


def figure(**more: int) -> Figure:
    """A day that leaves nothing."""
    given = {"rows": 2, "captured": 1_000, "fees": 10, "settled": 600, "open": 300, "explained": 100} | more
    return Figure(gateway="mpesa", day=date(2026, 5, 1), currency="KES", **given)


def run(**more: object) -> PastRun:
    """A run over a file."""
    given: dict[str, object] = {"broken_lines": [], "broken": 0} | more
    now = datetime.now(UTC)
    return PastRun(
        run_id=uuid4(),
        gateway="mpesa",
        source="file:a.csv",
        digest=None,
        first_day=date(2026, 5, 1),
        last_day=date(2026, 5, 1),
        rows=2,
        found=1,
        by="alice",
        started_at=now,
        finished_at=now,
        **given,
    )


def page(**more: object) -> str:
    """The report as a page."""
    given: dict[str, object] = {"figures": [], "discrepancies": [], "runs": []} | more
    return report.html("mpesa", "Rasid Kenya", **given)


async def written(*found: Discrepancy) -> list[dict[str, str]]:
    """The CSV report, read again."""

    async def each() -> AsyncIterator[Discrepancy]:
        for one in found:
            yield one

    file = io.StringIO()
    assert await report.write_csv(file, each()) == len(found)
    return list(csv.DictReader(io.StringIO(file.getvalue())))


def test_a_page_tells_figures_discrepancies_and_broken_lines() -> None:
    made = page(
        figures=[figure()],
        discrepancies=[discrepancy(name="SLF7", owner="bob")],
        runs=[run(broken_lines=[{"line": 17, "reason": "amount: not an amount"}], broken=1)],
    )
    for said in (
        "10.00",
        "6.00",
        "3.00",
        "0.00",
        "SLF7",
        "1234.50",
        "bob",
        "file:a.csv",
        "17",
        "amount: not an amount",
    ):
        assert said in made


@pytest.mark.parametrize("field", ["name", "reason", "owner", "gateway"])
def test_nothing_that_others_wrote_runs_in_a_page(field: str) -> None:
    made = page(discrepancies=[discrepancy(**{field: EVIL})])
    assert EVIL not in made
    assert "&lt;script&gt;" in made


def test_a_page_needs_nothing_else_and_is_readable_in_the_dark() -> None:
    made = page(figures=[figure()])
    assert "color-scheme: light dark" in made and "prefers-color-scheme: dark" in made
    assert not any(outside in made for outside in ("http://", "https://", "<script", "<link", "@import"))


def test_a_page_lists_the_first_of_very_many_and_says_so() -> None:
    many = [discrepancy(name=f"N{number}") for number in range(report.MOST + 1)]
    made = page(discrepancies=many)
    assert f">N{report.MOST - 1}<" in made and f">N{report.MOST}<" not in made
    assert "the CSV report has all" in made
    assert "the CSV report has all" not in page(discrepancies=many[:-1])


async def test_a_spreadsheet_has_amounts_in_major_units() -> None:
    [one] = await written(discrepancy(booked=-5, booked_currency="JPY"))
    assert (one["stated"], one["stated_currency"], one["booked"], one["booked_currency"]) == (
        "1234.50",
        "KES",
        "-5",
        "JPY",
    )


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_cell_that_others_wrote_is_a_formula(begins: str) -> None:
    evil = begins + "cmd|' /C calc'!A0"
    [one] = await written(discrepancy(name=evil, owner=evil))
    assert one["reference"] == one["owner"] == "'" + evil
