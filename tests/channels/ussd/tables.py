"""Recorded payloads: what each becomes, for every adapter that has a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels.turn import Malformed, Turn
from channels.ussd.contract import Adapter, Request, SessionEnd


def rows(test: str) -> list[Any]:
    """The rows of ``hops.json`` beside a test's file, named by their labels."""
    table = json.loads((Path(test).parent / "hops.json").read_text(encoding="utf-8"))
    return [pytest.param(row, id=row["label"]) for row in table]


def request_of(row: dict[str, Any]) -> Request:
    """The request that a row stands for."""
    return Request(body=row.get("body", "").encode(), query=row.get("query", ""), headers=row.get("headers", {}))


def becomes(adapter: Adapter, row: dict[str, Any]) -> None:
    """The row is read as its ``turn``, ends a session as its ``ended``, or is refused as its ``malformed``."""
    if "malformed" in row:
        with pytest.raises(Malformed) as refused:
            adapter.read(request_of(row))
        assert [refused.value.field, refused.value.reason] == row["malformed"]
        return
    read = adapter.read(request_of(row))
    if "ended" in row:
        assert isinstance(read, SessionEnd)
        assert (read.outcome, read.turn.event) == (row["ended"], "close")
        assert read.outcome in adapter.outcomes
        read = read.turn
    assert isinstance(read, Turn)
    wanted = row.get("turn", {})
    assert {name: getattr(read, name) for name in wanted} == wanted
    assert (read.channel, read.cumulative) == ("ussd", False)
