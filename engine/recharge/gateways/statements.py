"""Settlement files: CSV read line by line, so that a broken row is named and the rest is done.

A row is one physical line. Providers write none that span several, and a stray quotation mark then costs one row
instead of all that follow it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from engine.recharge.gateways.contract import BadRow, SettlementRow

#: lines of a title above the header at most
TITLE_LINES = 20
#: characters; a longer line is no row
LINE_LIMIT = 20_000
REFERENCE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
CURRENCY = re.compile(r"[A-Za-z]{3}")

Row = Mapping[str, str]


def read_rows(
    lines: Iterable[str], needed: Collection[str], read: Callable[[int, Row], SettlementRow | None]
) -> Iterator[SettlementRow | BadRow]:
    """Each row as ``read`` reads it: None where it is no payment, ``ValueError`` where it is broken.

    The header is the first line that holds all ``needed`` columns. ``read`` gets the line's number, from 1, and the row
    by column, stripped.
    """
    columns: list[str] | None = None
    number = 1
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cells = _cells(line)
            if columns is None:
                columns = cells if all(name in cells for name in needed) else None
                if columns is None and number >= TITLE_LINES:
                    break
                continue
            if len(cells) != len(columns):
                raise ValueError(f"{len(cells)} columns, not {len(columns)}")  # noqa: TRY301 - one place names the line
            row = read(number, dict(zip(columns, cells, strict=True)))
        except (ValueError, csv.Error) as error:
            yield BadRow(line=number, reason=str(error))
            continue
        if row is not None:
            yield row
    if columns is None:
        yield BadRow(line=number, reason=f"no header with the columns {', '.join(needed)}")


def _cells(line: str) -> list[str]:
    if len(line) > LINE_LIMIT:
        raise ValueError(f"longer than {LINE_LIMIT} characters")
    rows = list(csv.reader([line.lstrip("\ufeff")], strict=True))
    return [cell.strip() for cell in rows[0]] if rows else []


def reference(row: Row, column: str) -> str:
    """A provider's reference. Raises ``ValueError``."""
    if not REFERENCE.fullmatch(row[column]):
        raise ValueError(f"{column}: not a reference")
    return row[column]


def currency(row: Row, column: str) -> str:
    """A currency in capitals. Raises ``ValueError``."""
    if not CURRENCY.fullmatch(row[column]):
        raise ValueError(f"{column}: not a currency")
    return row[column].upper()


def amount(row: Row, column: str, read: Callable[[str], int]) -> int:
    """An amount by ``read``, an error of which names the column. Raises ``ValueError``."""
    try:
        return read(row[column])
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None


def moment(row: Row, column: str, zone: tzinfo = UTC, formats: Collection[str] = ()) -> datetime:
    """A time, read as ISO 8601 or by one of ``formats``, in ``zone`` unless it says its own. Raises ``ValueError``."""
    text = row[column]
    for attempt in (datetime.fromisoformat, *(_by(form) for form in formats)):
        try:
            at = attempt(text)
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"{column}: not a time")


def _by(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the caller's to add
