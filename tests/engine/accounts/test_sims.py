"""A line that is given another SIM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.accounts.rules import NumberTaken
from engine.accounts.sims import change_sim
from engine.api import Engine
from engine.words import BadNumber, UnknownLine
from runtime.keyring import Keyring
from tests.engine.shop import open_line

OLD, NEW = "639020000000101", "639020000000102"


async def test_a_line_is_found_by_its_new_sim_alone_and_the_change_is_noted(
    engine: Engine, keyring: Keyring, database_url: str
) -> None:
    line = await open_line(engine, imsi=OLD)
    await change_sim(engine._database, keyring, line, NEW)
    assert (await engine.line_of(f"imsi-{NEW}")).line_id == line.line_id
    with pytest.raises(UnknownLine):
        await engine.line_of(f"imsi-{OLD}")
    with psycopg.connect(database_url) as connection:
        ((changed_at,),) = connection.execute("SELECT sim_changed_at FROM line").fetchall()
    assert datetime.now(UTC) - changed_at < timedelta(minutes=5)


async def test_a_sim_that_belongs_to_another_line_is_refused_and_nothing_changes(
    engine: Engine, keyring: Keyring
) -> None:
    line, other = await open_line(engine, imsi=OLD), await open_line(engine, imsi=NEW)
    with pytest.raises(NumberTaken):
        await change_sim(engine._database, keyring, line, NEW)
    assert (await engine.line_of(f"imsi-{OLD}")).line_id == line.line_id
    assert (await engine.line_of(f"imsi-{NEW}")).line_id == other.line_id


@pytest.mark.parametrize("imsi", ["", "12345", "63902000000010x", "6390200000001012"])
async def test_what_is_no_imsi_is_refused(engine: Engine, keyring: Keyring, imsi: str) -> None:
    line = await open_line(engine, imsi=OLD)
    with pytest.raises(BadNumber):
        await change_sim(engine._database, keyring, line, imsi)
    assert (await engine.line_of(f"imsi-{OLD}")).line_id == line.line_id


async def test_an_erased_person_gets_no_sim_and_keeps_no_card(engine: Engine, keyring: Keyring) -> None:
    line = await open_line(engine, imsi=OLD)
    ends = datetime.now(UTC) + timedelta(days=30)
    await engine.cards.save(line, "stripe", "pm_card", brand="Visa", last_four="4242", expires_at=ends)
    await engine.accounts.erase_person(line.account, by="alice")
    assert await engine.saved_cards(line) == []
    with pytest.raises(UnknownLine):
        await change_sim(engine._database, keyring, line, NEW)
