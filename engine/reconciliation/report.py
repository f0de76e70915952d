"""What a reconciliation found, for people: one page of HTML that needs nothing else, and CSV for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.recharge.gateways.amounts import major
from engine.reconciliation.cases import Discrepancy
from engine.reconciliation.runs import Figure, PastRun

#: discrepancies that a page lists; a longer page is read by nobody, and the CSV has all
MOST = 2_000
COLUMNS = (
    "id",
    "gateway",
    "day",
    "kind",
    "reason",
    "reference",
    "payment_id",
    "stated",
    "stated_currency",
    "stated_at",
    "booked",
    "booked_currency",
    "booked_at",
    "state",
    "owner",
    "resolution",
)
#: What a spreadsheet would take for the beginning of a formula (OWASP, CSV injection).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def html(
    title: str,
    operator: str,
    *,
    figures: Sequence[Figure],
    discrepancies: Sequence[Discrepancy],
    runs: Sequence[PastRun],
) -> str:
    """The report as one page. Of more than ``MOST`` discrepancies the first are listed."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    broken = [(run.source, line["line"], line["reason"]) for run in runs for line in run.broken_lines]
    return pages.get_template("report.html").render(
        title=title,
        operator=operator,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        figures=figures,
        discrepancies=discrepancies[:MOST],
        more=len(discrepancies) > MOST,
        broken=broken,
        money=_money,
    )


async def write_csv(file: IO[str], discrepancies: AsyncIterable[Discrepancy]) -> int:
    """Write all discrepancies, amounts in major units. Returns how many there were."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    count = 0
    async for one in discrepancies:
        amounts = (_money(one.stated, one.stated_currency), _money(one.booked, one.booked_currency))
        writer.writerow(
            (
                *(one.discrepancy_id, safe(one.gateway), one.day, one.kind.value, safe(one.reason), safe(one.name)),
                *(one.payment_id or "", amounts[0], one.stated_currency or "", _time(one.stated_at)),
                *(amounts[1], one.booked_currency or "", _time(one.booked_at)),
                *(one.state.value, safe(one.owner or ""), one.resolution or ""),
            )
        )
        count += 1
    return count


def safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe stands before what would begin one."""
    return "'" + text if text.startswith(_FORMULAS) else text


def _money(minor: int, currency: str | None) -> str:
    return f"{major(minor, currency):f}" if currency is not None else ""


def _time(at: datetime | None) -> Any:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
