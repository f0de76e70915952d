"""Which requests of a session are refused for the line's status before they are looked at: those that only ask."""

from __future__ import annotations

from typing import Any

import pytest

from engine.books.facts import LineFacts
from engine.words import Code, LineStatus, SessionAct, SessionRequest, Unit
from settings import Operator
from tests.engine.deciding import LINE, asked, decided, held, known
from tests.engine.usage.desk import group

ASKS, USED = group(asks=100), group(used=100, asks=None)


@pytest.mark.parametrize(
    ("act", "more", "code"),
    [
        (SessionAct.CREATE, {"reports": (ASKS,)}, Code.LINE_SUSPENDED),
        (SessionAct.EVENT, {"reports": (ASKS,)}, Code.LINE_SUSPENDED),
        # What was used is charged whatever the status, and so is told what began.
        (SessionAct.CREATE, {"reports": (ASKS, USED)}, Code.OK),
        (SessionAct.EVENT, {"reports": (USED,)}, Code.OK),
        (SessionAct.CREATE, {"reports": (ASKS,), "cumulative": True}, Code.OK),
        (SessionAct.UPDATE, {"reports": (ASKS,)}, Code.OK),
        (SessionAct.RELEASE, {}, Code.OK),
    ],
)
def test_a_suspended_line_begins_nothing_and_ends_what_it_began(
    rated: Operator, act: SessionAct, more: dict[str, Any], code: Code
) -> None:
    request = asked(SessionRequest, act=act, interface="test", session_id="s", sequence=0, **more)
    line = LineFacts(LINE, LineStatus.SUSPENDED, 0, None, None)
    assert decided(rated, request, known(held(Unit.OCTETS, 500), line=line)).answer.code == code
