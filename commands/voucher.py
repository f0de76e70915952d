"""``manage.py voucher``: make, move, list, look at and block vouchers. Numbers leave only in an encrypted file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands.export import read_recipient, write_export
from commands.files import whole
from commands.installation import By, Installation, Why, guarded, major_units, minor_units, refuse, run
from commands.tables import print_table
from engine.recharge.batches import Batch, Voucher, VoucherBatches
from engine.recharge.tables import BatchState

app = typer.Typer(help="Voucher batches: make, move, list, block.", no_args_is_help=True)

BatchId = Annotated[UUID, typer.Argument(help="The batch, as `voucher list` shows it.")]


def _batches(installation: Installation) -> VoucherBatches:
    return VoucherBatches(installation.database, installation.operator, installation.keyring)


@app.command()
def generate(  # noqa: PLR0917 - typer reads options from here; nobody calls it by position
    face_value: Annotated[str, typer.Option(help="What one voucher is worth, in money as it is written: 50 or 12.50.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")],
    by: By,
    out: Annotated[Path, typer.Option(help="The encrypted file; must not exist yet.")],
    recipient: Annotated[str | None, typer.Option(help="The printer's age public key: age1…")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="A file with a passphrase, instead of a key.")] = None,
    expires: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC) of sale.")] = None,
    why: Why = "",
) -> None:
    """Make a batch of vouchers and write its numbers, encrypted with age, for the printer."""
    target = guarded(lambda: read_recipient(recipient, passphrase_file))
    if out.exists():
        refuse(f"{out} is there already")
    expires_at = None if expires is None else expires.replace(hour=23, minute=59, second=59, tzinfo=UTC)

    async def work(installation: Installation) -> Batch:
        """The batch, once its numbers are written; a batch whose numbers are lost is recalled at once."""
        value = minor_units(face_value, installation.operator.currency)
        vouchers = _batches(installation)
        detail = {"face_value": value, "count": count}
        async with installation.trail.doing("voucher.generate", by=by, why=why, detail=detail):
            with Progress(console=Console(stderr=True)) as progress:
                bar = progress.add_task("making vouchers", total=count)
                batch, numbers = await vouchers.create_batch(
                    value, count, by, expires_at=expires_at, progress=lambda more: progress.advance(bar, more)
                )
        try:
            with whole(out) as partial:
                write_export(partial, target, batch, numbers)
        except BaseException:
            # Nobody will ever have the numbers: nobody may put them on sale.
            await vouchers.move_batch(batch.batch_id, BatchState.RECALLED, by)
            raise
        return batch

    batch = run(work)
    Console().print(f"batch {batch.batch_id}: {count} vouchers in {out}", highlight=False, soft_wrap=True)


@app.command()
def move(
    batch_id: BatchId,
    to: Annotated[BatchState, typer.Argument(help="The state to take it to.")],
    by: By,
    why: Why = "",
) -> None:
    """Take a batch on: created → printed → shipped → active ⇄ blocked, or recalled. A second person activates it."""

    async def work(installation: Installation) -> Batch:
        """The batch in its new state."""
        detail = {"batch": str(batch_id), "to": to.value}
        async with installation.trail.doing("voucher.move", by=by, why=why, detail=detail):
            return await _batches(installation).move_batch(batch_id, to, by)

    _show([run(work)])


@app.command("list")
def list_batches() -> None:
    """All batches with how many of their vouchers are used."""
    _show(run(lambda installation: _batches(installation).list_batches()))


@app.command()
def show(
    batch_id: Annotated[UUID | None, typer.Argument(help="A batch, as `voucher list` shows it.")] = None,
    serial: Annotated[int | None, typer.Option(help="One voucher of the batch.")] = None,
) -> None:
    """A batch; one of its vouchers; or, without a batch, the voucher whose number is then asked for, unseen."""
    number = typer.prompt("voucher number", hide_input=True) if batch_id is None else ""

    async def work(installation: Installation) -> tuple[Batch, Voucher | None]:
        """The batch, and the voucher where one is meant."""
        vouchers = _batches(installation)
        if batch_id is None:
            found = await vouchers.find_number(number)
            return await vouchers.batch(found.batch_id), found
        found_serial = None if serial is None else await vouchers.find_serial(batch_id, serial)
        return await vouchers.batch(batch_id), found_serial

    batch, voucher = run(work)
    _show([batch])
    if voucher is not None:
        when = "" if voucher.redeemed_at is None else f" at {voucher.redeemed_at:%Y-%m-%d %H:%M:%S} UTC"
        Console().print(f"serial {voucher.serial}: {voucher.state}{when}", highlight=False)


@app.command()
def block(
    batch_id: BatchId,
    serials: Annotated[list[int], typer.Argument(help="Serials of the vouchers, as printed.")],
    by: By,
    why: Why = "",
) -> None:
    """Block single vouchers, lost or stolen ones. Exit code 1 if some were not unused any more."""

    async def work(installation: Installation) -> list[int]:
        """The serials that were not unused any more."""
        detail = {"batch": str(batch_id), "serials": sorted(serials)}
        async with installation.trail.doing("voucher.block", by=by, why=why, detail=detail):
            return await _batches(installation).block_voucher(batch_id, serials, by)

    blocked = run(work)
    left = sorted(set(serials) - set(blocked))
    Console().print(f"{len(blocked)} blocked", highlight=False)
    if left:
        Console().print(f"not unused, or not there: {', '.join(map(str, left))}", highlight=False)
        raise typer.Exit(1)


def _show(batches: list[Batch]) -> None:
    table = Table("batch", "state", "face value", "count", "redeemed", "blocked", "expires", "made by", "activated by")
    for batch in batches:
        table.add_row(
            str(batch.batch_id),
            batch.state.value,
            major_units(batch.face_value, batch.currency),
            f"{batch.count:,}",
            f"{batch.redeemed:,}",
            f"{batch.blocked:,}",
            f"{batch.expires_at:%Y-%m-%d}",
            batch.created_by,
            batch.activated_by or "",
        )
    print_table(table)
