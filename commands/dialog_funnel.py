"""``manage.py dialog funnel``: on which screens people leave, and how long they stay, out of stored hops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commands.installation import Installation, run
from commands.tables import print_table
from dialogs.catalogue import declared, machine_of
from dialogs.drawing import Heat, svg
from dialogs.texts import Texts
from engine.api import Hops, ScreenUse


def funnel(
    *,
    hours: Annotated[int, typer.Option(min=1, max=24 * 30, help="How far back is looked.")] = 24,
    gateway: Annotated[str | None, typer.Option(help="One gateway, carrier or app alone.")] = None,
    language: Annotated[str | None, typer.Option(help="One language alone.")] = None,
    dialog: Annotated[str | None, typer.Option(help="One dialog alone.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Write a drawing here, as SVG: the redder, the more left.")] = None,
) -> None:
    """How often each screen was shown, who left there, and for how long people look at it."""

    async def work(installation: Installation) -> list[ScreenUse]:
        """The screens that are asked for; drawn over the dialogs where a file is named."""
        since = datetime.now(UTC) - timedelta(hours=hours)
        uses = await Hops(installation.database).funnel(since, gateway=gateway, language=language)
        wanted = [one for one in uses if dialog is None or one.state.partition(".")[0] == dialog]
        if draw is not None:
            known = installation.operator
            spoken = Texts.of(known).language(language or known.languages[0])
            dialogs = [one for one in declared(known) if dialog in (None, one.name)]
            draw.write_text(svg(machine_of(known), dialogs, spoken, heat(wanted)), encoding="utf-8")
        return wanted

    uses = run(work)
    table = Table("screen", "shown", "left there", "", "seconds (median)", "one in ten over")
    for use in uses:
        share = use.left / use.shown
        bar = "█" * round(share * 20)
        table.add_row(use.state, str(use.shown), f"{share:.0%}", bar, f"{use.seconds:.1f}", f"{use.slow_seconds:.1f}")
    if uses:
        print_table(table)
    else:
        Console().print("nothing is stored of this time (setting funnel_percent)")


def heat(uses: list[ScreenUse]) -> dict[str, Heat]:
    """What people did on the screens, for ``dialogs.drawing``. The console's page calls this too."""
    return {use.state: Heat(use.shown, use.left / use.shown, use.seconds) for use in uses}
