"""Where a page of a table begins, as its link says it: the key of the last row of the page before, never a number."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from aiohttp import web

Key = tuple[datetime, UUID]

#: rows of a table on one page
ROWS = 50
#: no row is of another year, and so far from both ends of the calendar days can be added and taken away
YEARS = range(1970, 9000)
#: the field of a query that names the last row of the page before
AFTER = "after"


def write_key(at: datetime, key: UUID | bytes) -> str:
    """A row's key for a link."""
    return f"{at.isoformat()}|{key.hex() if isinstance(key, bytes) else key}"


def read_key(request: web.Request) -> Key | None:
    """The key that a link of ours brings; None for the first page. Raises 400 for anything else."""
    said = _read(request)
    if said is None:
        return None
    try:
        return said[0], UUID(said[1])
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{AFTER}: not a row of this table") from error


def read_bytes_key(request: web.Request) -> tuple[datetime, bytes] | None:
    """The same, of a table whose keys are digests."""
    said = _read(request)
    if said is None:
        return None
    try:
        return said[0], bytes.fromhex(said[1])
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{AFTER}: not a row of this table") from error


def read_id(request: web.Request) -> UUID | None:
    """An id in the query; None where there is none. Raises 400 for anything else."""
    said = request.query.get(AFTER)
    if not said:
        return None
    try:
        return UUID(said)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{AFTER}: not a row of this table") from error


def read_day(request: web.Request, name: str) -> date | None:
    """A day in the query (ISO 8601); None where there is none. Raises 400 for anything else."""
    said = request.query.get(name)
    if not said:
        return None
    try:
        day = date.fromisoformat(said)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name}: a day like 2026-01-31 is meant") from error
    if day.year not in YEARS:
        raise web.HTTPBadRequest(text=f"{name}: a day of the years {YEARS[0]} to {YEARS[-1]} is meant")
    return day


def _read(request: web.Request) -> tuple[datetime, str] | None:
    said = request.query.get(AFTER)
    if said is None:
        return None
    moment, _, key = said.partition("|")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{AFTER}: not a row of this table") from error
    if at.tzinfo is None or at.year not in YEARS:
        raise web.HTTPBadRequest(text=f"{AFTER}: not a row of this table")
    return at, key
