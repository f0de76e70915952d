#!/usr/bin/env python3
"""The operator's command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import DBAPIError

from commands import (
    audit,
    bill,
    dialog,
    dispute,
    doctor,
    events,
    gateway,
    keys,
    ledger,
    line,
    notify,
    receipt,
    reconcile,
    review,
    staff,
    usage,
    voucher,
)
from commands.demo import demo
from engine.books.databases import migrate_books
from engine.storage.unusable import why_unusable
from runtime.embedded.process import EmbeddedError
from runtime.logs import configure_logs
from settings import SettingsError, load_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Rasid: the operator's command line.")
app.command()(demo)
app.add_typer(audit.app, name="audit")
app.add_typer(bill.app, name="bill")
app.add_typer(dialog.app, name="dialog")
app.add_typer(dispute.app, name="dispute")
app.add_typer(doctor.app, name="doctor")
app.add_typer(gateway.app, name="gateway")
app.add_typer(events.app, name="events")
app.add_typer(keys.app, name="keys")
app.add_typer(ledger.app, name="ledger")
app.add_typer(line.app, name="line")
app.add_typer(notify.app, name="notify")
app.add_typer(receipt.app, name="receipt")
app.add_typer(reconcile.app, name="reconcile")
app.add_typer(review.app, name="review")
app.add_typer(staff.app, name="staff")
app.add_typer(usage.app, name="usage")
app.add_typer(voucher.app, name="voucher")

ConfigOption = Annotated[Path | None, typer.Option(help="Settings in TOML; the environment overrules them.")]


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the schema of all databases up to date, as their owners, and let each book be written where it lives."""
    settings = load_settings(config)
    migrate_books(settings.owner_url, settings.book_owner_urls)
    typer.echo("the schema is that of this version")


def main() -> None:
    """Run a command; what the user can mend is said without a traceback."""
    configure_logs("manage")
    try:
        app()
    except (SettingsError, EmbeddedError) as error:
        _refuse(str(error))
    except DBAPIError as error:
        _refuse(f"the database cannot be used: {why_unusable(error)}")


def _refuse(sentence: str) -> NoReturn:
    """With the status of every command that cannot do what it was asked."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
