"""What is not the request's fault is told in the interface's own words too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from engine.api import Engine
from tests.engine.shop import open_line
from tests.network.api import Api
from tests.network.nchf.network import ROOT, group, opening
from tests.network.tmf.system import BALANCES, USAGES, of


@contextmanager
def shut(server_url: str, database_url: str) -> Iterator[None]:
    """Nobody gets into the database any more, and who is in is thrown out."""
    name = sa.make_url(database_url).database
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def test_without_a_database_every_interface_answers_in_its_own_words_and_then_serves_again(
    api: Api, engine: Engine, postgres_url: str, database_url: str
) -> None:
    line = await open_line(engine)
    opened = opening(line, group(wanted={}))
    with shut(postgres_url, database_url):
        charging = await api.post(ROOT, opened)
        assert (charging.status, charging.body["cause"]) == (503, "SYSTEM_FAILURE")
        assert charging.headers["Content-Type"].startswith("application/problem+json")
        balance = await api.get(of("bucket", line.msisdn))
        assert (balance.status, balance.body["code"], balance.body["status"]) == (503, "SYSTEM_FAILURE", "503")
    assert (await api.post(ROOT, opened)).status == 201
    assert (await api.get(of("bucket", line.msisdn))).status == 200


async def test_a_method_that_is_not_offered_is_405_in_the_interfaces_own_words(api: Api) -> None:
    charging = await api.get(ROOT)
    assert (charging.status, charging.body["cause"], charging.headers["Allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")
    balances = await api.ask("DELETE", of("topupBalance", "1").partition("?")[0])
    assert (balances.status, balances.body["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(balances.headers["Allow"].split(", ")) == {"GET", "POST"}


async def test_a_path_that_is_not_offered_is_404_in_the_interfaces_own_words(api: Api) -> None:
    charging = await api.post(f"{ROOT}s", {})
    assert (charging.status, charging.body["cause"]) == (404, "NOT_FOUND")
    assert charging.headers["Content-Type"].startswith("application/problem+json")
    for path in (BALANCES, f"{BALANCES}/nothing/here", USAGES, f"{USAGES}/"):
        said = await api.get(path)
        assert (said.status, said.body["code"], said.body["status"]) == (404, "NOT_FOUND", "404")
