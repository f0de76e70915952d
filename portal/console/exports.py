"""Tables as files for a spreadsheet: streamed, and without anything that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from portal.selfcare.history import cell

#: lines that leave together
LINES = 500


async def send_csv(
    request: web.Request, name: str, heading: Sequence[str], rows: AsyncIterable[Sequence[Any]]
) -> web.StreamResponse:
    """Send rows as ``name.csv`` (RFC 4180), however many. Times are in UTC, amounts integers of the smallest part."""
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}.csv"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heading)
    count = 0
    async for row in rows:
        writer.writerow([_written(value) for value in row])
        count += 1
        if count % LINES == 0:
            await _flush(response, out)
    await _flush(response, out)
    await response.write_eof()
    return response


async def _flush(response: web.StreamResponse, out: io.StringIO) -> None:
    await response.write(out.getvalue().encode())
    out.seek(0)
    out.truncate()


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return cell(str(value))
