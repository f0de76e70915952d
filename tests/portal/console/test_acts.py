"""What staff did is told in words, on the audit page and in a line's history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.words import Listed, RequestKind, Role
from portal.console.acts import ACTS, act
from tests.portal.console.conftest import Client, Console

ROOT = Path(__file__).resolve().parents[3]
#: where acts are written down: their codes stand there as they are, or are made of a name and one of these
WRITTEN = re.compile(r'\b(?:doing|record|_record|_doing|_post|_finish)\(\s*(?:[\w.]+, )*"([a-z]+(?:\.[a-z_]+)+)"')


def test_every_act_that_is_written_down_has_a_name() -> None:
    modules = [path for room in ("commands", "engine", "portal") for path in (ROOT / room).rglob("*.py")]
    codes = {code for path in modules for code in WRITTEN.findall(path.read_text(encoding="utf-8"))}
    assert {"line.status", "staff.reset", "events.resend", "dispute.open", "voucher.move"} < codes
    codes |= {f"guard.{one}" for one in Listed} | {f"request.{one}" for one in RequestKind}
    assert {code for code in codes if code not in ACTS and code.removesuffix(".refused") not in ACTS} == set()


@pytest.mark.parametrize(
    ("code", "in_vain"), [("line.status", False), ("line.status.refused", True), ("new.one", False)]
)
def test_an_act_that_came_to_nothing_says_so(code: str, in_vain: bool) -> None:
    assert act(code)[1] is in_vain


@pytest.mark.asyncio(loop_scope="session")
async def test_the_audit_page_tells_acts_in_the_language_of_who_looks(console: Console, client: Client) -> None:
    await console.engine.audit.record("voucher.move.refused", by="amina", why="too early")
    await client.sign_in(console.people[Role.AUDITOR])
    _, page = await client.get("/audit?by=amina&lang=fr")
    assert "Lot avancé" in page and "Non effectué" in page and "voucher.move.refused" in page
