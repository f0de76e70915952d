"""How a page's path names a line."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from engine.words import LineRef

#: what a path holds of a line: ids, never a number, for paths stand in logs and histories
LINE = "{line:[0-9]{1,4}-[0-9a-f]{32}-[0-9a-f]{32}}"


def write_line(line: LineRef) -> str:
    """A line for a path."""
    return f"{line.shard}-{line.account_id.hex}-{line.line_id.hex}"


def read_line(request: web.Request) -> LineRef:
    """The line that a path with ``LINE`` names."""
    shard, account_id, line_id = request.match_info["line"].split("-")
    return LineRef(int(shard), UUID(account_id), UUID(line_id))
