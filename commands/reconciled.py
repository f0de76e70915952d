"""What ``manage.py reconcile`` shows and writes: what a run came to, tables, reports."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from commands.files import whole
from commands.installation import major_units
from commands.tables import print_table
from engine.api import Engine
from engine.reconciliation import report
from engine.reconciliation.cases import Discrepancy, Selection
from engine.reconciliation.runs import Figure
from engine.reconciliation.staging import Run

#: broken lines and discrepancies that the terminal shows; the reports have all
SHOWN = 20


async def told(engine: Engine, run: Run, html: Path | None, csv: Path | None) -> bool:
    """Tell what a run came to, and write the reports. Returns whether something is left to do."""
    console = Console()
    days = f"{run.first_day}" if run.first_day == run.last_day else f"{run.first_day} to {run.last_day}"
    console.print(
        f"{run.gateway}, {days}: {run.rows:,} rows, {run.broken:,} broken, {run.found:,} discrepancies, "
        f"{run.credited:,} credited" + (f", {run.unanswered:,} not answered" if run.unanswered else ""),
        highlight=False,
    )
    for bad in run.broken_lines[:SHOWN]:
        console.print(f"line {bad.line}: {bad.reason}", style="red", markup=False, highlight=False)
    if run.broken > SHOWN:
        console.print(f"and {run.broken - SHOWN:,} more lines", style="red", highlight=False)
    wanted = Selection(gateway=run.gateway, first=run.first_day, last=run.last_day)
    found = await engine.reconciliation.discrepancies(wanted, limit=SHOWN)
    if found:
        print_table(table_of(found))
    figures = await engine.reconciliation.figures(run.gateway, run.first_day)
    print_figures([one for one in figures if one.day <= run.last_day])
    await write_reports(engine, wanted, html, csv)
    return bool(found or run.broken or run.unanswered)


async def write_reports(engine: Engine, wanted: Selection, html: Path | None, csv: Path | None) -> None:
    """Write the reports that were asked for."""
    reconciliation = engine.reconciliation
    if csv is not None:
        with whole(csv) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            await report.write_csv(file, reconciliation.each(wanted))
    if html is not None:
        page = report.html(
            wanted.gateway or "of all gateways",
            engine.operator.name,
            figures=await reconciliation.figures(wanted.gateway, wanted.first),
            discrepancies=await reconciliation.discrepancies(wanted, limit=report.MOST + 1),
            runs=await reconciliation.runs(wanted.gateway, limit=10),
        )
        with whole(html) as partial:
            partial.write_text(page, encoding="utf-8")


def print_figures(found: list[Figure]) -> None:
    """The figures as a table, with what they leave."""
    table = Table("gateway", "day", "captured", "settled", "explained", "open", "rest", title="figures")
    for one in found:
        amounts = (one.captured, one.settled, one.explained, one.open, one.rest)
        table.add_row(one.gateway, f"{one.day}", *(major_units(amount, one.currency) for amount in amounts))
    print_table(table)


def table_of(found: list[Discrepancy]) -> Table:
    """Discrepancies as a table."""
    headings = ("number", "gateway", "day", "kind", "reason", "reference", "stated", "booked", "state", "owner", "end")
    table = Table(*headings)
    for one in found:
        table.add_row(
            *(one.number, one.gateway, f"{one.day}", one.kind.value, one.reason, one.name),
            *(_money(one.stated, one.stated_currency), _money(one.booked, one.booked_currency)),
            *(one.state.value, one.owner or "", one.resolution or ""),
        )
    return table


def _money(amount: int, currency: str | None) -> str:
    return "" if currency is None else major_units(amount, currency)
