"""``manage.py keys``: which rows need which master key, and what lets an old one be taken out of the settings."""

from __future__ import annotations

from typing import NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from commands.bars import counting
from commands.installation import By, Installation, Why, run
from commands.tables import print_table
from engine.keys.service import RENEWED, Held, Keys
from engine.keys.store import Kept

app = typer.Typer(help="Master keys: what needs an old one, and making that less.", no_args_is_help=True)

ANEW = "manage.py keys renew"
#: what rows are called, and what ends their need
SAID: dict[Kept, tuple[str, str]] = {
    Kept.ACCOUNT: ("accounts", ANEW),
    Kept.STAFF_CODE: ("staff's secrets of one-time codes", ANEW),
    Kept.SUBSCRIPTION: ("subscriptions to events", ANEW),
    Kept.SET_ASIDE: ("usage records set aside", ANEW),
    Kept.DISCREPANCY: ("discrepancies", ANEW),
    Kept.VOUCHER: ("vouchers not used yet", "their use or their end; voucher move BATCH recalled"),
    Kept.PIN: ("PINs", "the next time each is typed; line pin-reset"),
    Kept.PASSWORD: ("staff's passwords", "the next time they sign in; staff disable"),
    Kept.GUARD_LIST: ("entries of the block and allow lists", "their end; put on the list again"),
    Kept.CALLBACK: ("callbacks under way", "bot.py, within minutes"),
    Kept.RADIUS_SESSION: (
        "RADIUS sessions under way",
        "a pause of the access servers: under another key they would be charged again",
    ),
}


class Found(NamedTuple):
    """What needs other keys than the current one, and the keys that the settings have."""

    held: list[Held]
    current: int
    ids: tuple[int, ...]


@app.command("list")
def list_held() -> None:
    """What needs a master key that is not the newest, and which keys nothing needs any more."""
    _show(run(_found))


@app.command()
def renew(by: By, why: Why = "") -> None:
    """Seal anew, under the newest master key, what older ones sealed; stopped, the same command goes on.

    Exit code 1 if something cannot be read.
    """

    async def work(installation: Installation) -> tuple[Found, int]:
        """What is left afterwards, and how many rows could not be read."""
        keys = Keys(installation.database, installation.keyring)
        total = sum(one.rows for one in await keys.held() if one.what in RENEWED)
        detail = {"key_id": installation.keyring.current, "rows": total}
        async with installation.trail.doing("keys.renew", by=by, why=why, detail=detail):
            with counting("sealing anew", total) as advance:
                unreadable = await keys.renew(advance)
        return await _found(installation), unreadable

    found, unreadable = run(work)
    _show(found)
    if unreadable:
        Console(stderr=True).print(
            f"{unreadable} rows cannot be read: they were changed, or their key is not in the settings", style="red"
        )
        raise typer.Exit(1)


async def _found(installation: Installation) -> Found:
    keyring = installation.keyring
    return Found(await Keys(installation.database, keyring).held(), keyring.current, keyring.ids)


def _show(found: Found) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if found.held:
        table = Table("key", "what needs it", "rows", "what ends that", "at the latest")
        for one in found.held:
            what, ends = SAID[one.what]
            until = "" if one.until is None else f"{one.until:%Y-%m-%d}"
            table.add_row(str(one.key_id), what, f"{one.rows:,}", ends, until)
        print_table(table)
    needed = {one.key_id for one in found.held}
    for key_id in sorted(needed - {*found.ids}):
        console.print(f"key {key_id} is not in the settings: what needs it cannot be read or found", style="red")
    for key_id in sorted({*found.ids} - needed - {found.current}):
        console.print(
            f"nothing needs key {key_id}: it may be taken out of RASID_KEYS, at the earliest a day after key "
            f"{found.current} came",
            style="green",
        )
    if not needed and len(found.ids) == 1:
        console.print(f"everything is under key {found.current}, the only one", style="green")
