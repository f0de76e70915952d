"""What every batch of payments runs in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.payments.store import Connection
from engine.payments.writer import Writer
from engine.storage.database import open_database


@pytest.mark.parametrize("kept", [True, False])
async def test_a_batch_that_only_reads_leaves_its_statements_prepared(database_url: str, *, kept: bool) -> None:
    database = open_database(database_url, connections=1)

    async def prepared(connection: Connection, batch: Sequence[str]) -> list[int]:
        found = await connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'payment'")
        row = await found.fetchone()
        await connection.execute("SELECT count(*) FROM payment")
        return [0 if row is None else row[0]] * len(batch)

    writer = Writer[str, int](database, prepared, kept=kept)
    first = await writer("first")
    second = await writer("second")
    await writer.close()
    await database.dispose()
    assert second > first
