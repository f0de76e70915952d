"""A connection that is kept: reads are asked again where it is dead, not where they take too long."""

from __future__ import annotations

import psycopg
import pytest

from engine.storage.database import open_database
from engine.storage.steady import SteadyReads


@pytest.fixture
async def reads(database_url: str):
    database = open_database(database_url, connections=2)
    opened = SteadyReads(database)
    yield opened
    await opened.let_go()
    await database.dispose()


async def test_a_read_is_asked_again_on_a_new_connection_where_the_kept_one_is_dead(
    reads: SteadyReads, database_url: str
) -> None:
    ((first,),) = await reads.rows("SELECT pg_backend_pid()", {})
    with psycopg.connect(database_url) as owner:
        owner.execute("SELECT pg_terminate_backend(%s)", [first])
    ((second,),) = await reads.rows("SELECT pg_backend_pid()", {})
    assert second != first


async def test_a_read_that_takes_too_long_is_not_asked_again(reads: SteadyReads) -> None:
    await reads.rows("SELECT set_config('statement_timeout', '50', false)", {})
    # On a new connection, which has all the time it wants, it would come to an end.
    with pytest.raises(psycopg.errors.QueryCanceled):
        await reads.rows("SELECT pg_sleep(0.5)", {})
