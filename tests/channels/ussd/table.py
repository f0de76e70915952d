"""A table of recorded payloads held against an adapter: every gateway's tests read theirs so."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from channels.turn import Event, Malformed, Turn
from channels.ussd.contract import Adapter, Request, SessionEnd


def table(path: Path) -> list[Any]:
    """The cases of a file, each under its label."""
    return [pytest.param(case, id=case["label"]) for case in json.loads(path.read_text(encoding="utf-8"))]


def request(case: dict[str, Any], **more: Any) -> Request:
    """What a case sends: a body, as JSON unless it is a text, or a query."""
    body = case.get("body", "")
    return Request(
        body=(body if isinstance(body, str) else json.dumps(body)).encode(),
        method=case.get("method", "POST"),
        query=case.get("query", ""),
        headers=case.get("headers", {}),
        **more,
    )


def holds(adapter: Adapter, case: dict[str, Any], sent: Request) -> None:
    """What is sent becomes the turn, the end or the refusal that the case names."""
    if "malformed" in case:
        with pytest.raises(Malformed) as refused:
            adapter.read(sent)
        assert [refused.value.field, refused.value.reason] == case["malformed"]
        refusal = adapter.write_malformed(refused.value)
        assert 400 <= refusal.status < 500
        assert refused.value.reason in unescape(refusal.body.decode())
        return
    read = adapter.read(sent)
    if "ended" in case:
        assert isinstance(read, SessionEnd)
        assert read.outcome == case["ended"]
        assert read.outcome in adapter.outcomes
        assert (read.turn.event, read.turn.text) == (Event.CLOSE, "")
        return
    assert isinstance(read, Turn)
    assert {name: getattr(read, name) for name in case["turn"]} == case["turn"]
    assert read.channel == "ussd"
