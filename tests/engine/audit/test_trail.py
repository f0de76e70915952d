"""What staff does stands in the trail, which nobody rewrites."""

from __future__ import annotations

import pytest

from engine.storage.sharding import new_id
from engine.words import AccountRef


async def test_the_application_cannot_rewrite_the_trail(history, database):
    for table in ("staff_action", "audit_root", "dispute_evidence"):
        async with database.connect() as connection:
            for change in (f"UPDATE {table} SET shard = shard", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(Exception, match="permission denied"):
                    await connection.exec_driver_sql(change)
                await connection.rollback()


async def test_numbers_in_a_reason_are_hidden_and_nobody_acts_unnamed(trail, owner):
    await trail.record("line.status", by=" amina ", why="she called from +254712345678", detail={"to": "barred"})
    assert owner.execute("SELECT by, why, detail FROM staff_action").fetchall() == [
        ("amina", "she called from +2547•••••678", {"to": "barred"})
    ]
    with pytest.raises(ValueError, match="by"):
        await trail.record("line.status", by=" ", why="x")


async def test_what_is_refused_stands_in_the_trail_too(trail, owner):
    account = AccountRef(3, new_id())
    with pytest.raises(LookupError):
        async with trail.doing("line.erase", by="amina", why="asked", account=account):
            raise LookupError("no such account")
    rows = owner.execute("SELECT what, detail FROM staff_action ORDER BY at").fetchall()
    assert rows == [("line.erase", {}), ("line.erase.refused", {"error": "LookupError"})]
