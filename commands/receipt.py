"""``manage.py receipt``: signed receipts, given out and checked; checking needs no database."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from rich.console import Console
from rich.table import Table

from commands.installation import Installation, guarded, major_units, refuse, run
from commands.tables import print_table
from engine.audit.export import read_keys
from engine.audit.receipts import BadReceipt, NotChained, Receipts, SignedReceipt, check
from engine.audit.rules import Signer
from settings import load_settings

app = typer.Typer(help="Signed receipts: show, verify.", no_args_is_help=True)

#: far above any receipt
LARGEST = 10 * 2**20
#: the file within a receipt on paper
ATTACHED = "receipt.json"


@app.command()
def show(
    reference: Annotated[str, typer.Argument(help="What the person quotes, or the operation's key.")],
    line: Annotated[
        str | None, typer.Option(help="The line's number: finds what is no payment, and tells equal references apart.")
    ] = None,
) -> None:
    """Print the signed receipt of one operation as JSON."""

    async def work(installation: Installation) -> SignedReceipt:
        """Of the operation that the reference means, on this account where one is named."""
        account = None if line is None else (await installation.line(line)).account
        return await Receipts(installation.database).receipt(_key(reference), account)

    given = run(work)
    typer.echo(given.json().decode(), nl=False)
    if given.proof is None:
        Console(stderr=True).print(f"not in the audit chain yet: ask again after {given.chained_by}", style="yellow")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt: as `receipt show` printed it, or the PDF of the portal.")],
    keys: Annotated[
        Path | None, typer.Option(help="Public keys, as `audit keys` prints them; by default those of the settings.")
    ] = None,
) -> None:
    """Check a receipt without any database. Exit code 1 if it is not ours or was changed, 3 if it has no proof yet."""
    known = guarded(lambda: Signer(load_settings().keyring()).public_keys() if keys is None else read_keys(keys))
    data = guarded(lambda: _read(file))
    console = Console()
    try:
        seen = check(data, known)
    except BadReceipt as error:
        console.print(f"not a receipt of ours: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    except NotChained as error:
        console.print(f"no proof yet: ask for it again after {error}", style="yellow", markup=False, highlight=False)
        raise typer.Exit(3) from None
    _show(seen, console)


def _key(typed: str) -> str | UUID:
    try:
        return UUID(typed)
    except ValueError:
        return typed


def _read(file: Path) -> bytes:
    """The receipt in a file: the file itself, or what is attached to it if it is a PDF."""
    if file.stat().st_size > LARGEST:
        refuse(f"{file} is too large for a receipt")
    data = file.read_bytes()
    if not data.startswith(b"%PDF-"):
        return data
    try:
        attached = PdfReader(BytesIO(data)).attachments.get(ATTACHED, [])
    except PyPdfError as error:
        refuse(f"{file} is no PDF that can be read: {error}")
    if len(attached) != 1:
        refuse(f"{file} has no {ATTACHED} attached, or more than one")
    return attached[0]


def _show(seen: SignedReceipt, console: Console) -> None:
    if seen.proof is None:
        return
    table = Table("what", "says", show_header=False)
    table.columns[1].overflow = "fold"
    said = seen.receipt
    for name in ("reference", "kind", "code", "booked_at"):
        table.add_row(name, str(said[name]))
    currency = said["details"].get("currency")
    for name, value in said["details"].items():
        money = currency is not None and name in ("amount", "balance") and isinstance(value, int)
        table.add_row(name, major_units(value, currency) if money else str(value))
    root = seen.proof.root
    table.add_row("sealed", f"{root['sealed_at']} in root {root['seq']} of shard {root['shard']}, key {root['key_id']}")
    print_table(table)
    console.print("this operation lies in the audit chain as it stands here", style="green")
