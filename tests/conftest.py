"""What every test may ask for: real Postgres and Redis, a database of its own, the sample operator, an open engine.

Servers come from ``DATABASE_URL`` and ``REDIS_URL`` where these are set; otherwise each pytest worker starts its own.
Tests marked ``needs("chromium")`` are skipped and listed at the end where the program is missing; with
``REQUIRE_PEERS=1`` that is a failure.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
import redis
import sqlalchemy as sa
import structlog
import uvloop
from argon2 import PasswordHasher
from psycopg import sql

from engine import api
from engine.accounts import secrets
from engine.accounts.secrets import HASHER
from engine.storage.database import migrate
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.redis import EmbeddedRedis
from runtime.keyring import Keyring
from settings import Operator, load_operator
from tests.databases import Databases

ROOT = Path(__file__).resolve().parents[1]
#: A test database need not survive a power cut; tests of crashes kill processes, not machines.
TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A read is done by who asks for it, not handed to another process.
    "io_method": "sync",
}
REASON = "this machine has no "
pytest_plugins = ["tests.houses"]


# --- peers that an ordinary user may lack ---


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or with REQUIRE_PEERS=1 fail, what this machine cannot run."""
    missing = [what for mark in item.iter_markers("needs") for what in mark.args if shutil.which(what) is None]
    if not missing:
        return
    if os.environ.get("REQUIRE_PEERS") == "1":
        pytest.fail(f"{REASON}{', '.join(missing)} (REQUIRE_PEERS=1)", pytrace=False)
    pytest.skip(REASON + ", ".join(missing))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List what was left out for want of a peer."""
    lacking: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if REASON in reason:
            lacking.setdefault(reason.partition(REASON)[2], []).append(report.nodeid)
    if lacking:
        terminalreporter.section("left out: peers that this machine lacks")
        for what, tests in sorted(lacking.items()):
            terminalreporter.write_line(f"{what}: {len(tests)} test(s), e.g. {tests[0]}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker that has told all its results and still does not end says where it stands, and ends."""
    if hasattr(session.config, "workerinput"):
        faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)


class Loop(uvloop.Loop):
    """The loop that the servers run on. The last one of a worker is left open: its process ends in a moment.

    Closing it runs libuv once more until the last handle is gone, and after thousands of tests that waited for ever now
    and then (for a connection whose peer had ended).
    """

    #: what is left open must not be collected either
    left_open: ClassVar[list[Loop]] = []
    ending = False

    def close(self) -> None:
        """As its base, but for the last one."""
        if Loop.ending:
            self.left_open.append(self)
        else:
            super().close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """After a worker's last test come the fixtures of the whole session, and its loop."""
    Loop.ending = nextitem is None


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the servers run on."""
    return {"uvloop": Loop}


# --- servers, one set for each pytest worker ---


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder for embedded servers: short enough for sockets, and reachable by the user that Postgres drops to."""
    folder = Path(tempfile.mkdtemp(prefix="rasid-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _servers_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rasid-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(_servers_dir: Path) -> Iterator[str]:
    """The owner's address of this worker's Postgres server."""
    given = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    server = EmbeddedPostgres(_servers_dir, TEST_SETTINGS)
    asyncio.run(server.start())
    easy_to_enter(server.url)
    yield server.url
    asyncio.run(server.stop())


def easy_to_enter(url: str) -> None:
    """Let the owner's password be checked in one round: tests open sessions by the ten thousand."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SET scram_iterations = 1")
        name, password = sql.Identifier(owner.info.user), sql.Literal(owner.info.password)
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, password))


@pytest.fixture(scope="session")
def _redis_server_url(_servers_dir: Path, worker_id: str) -> Iterator[str]:
    given = os.environ.get("REDIS_URL")
    if given:
        # Workers share the server, so each takes a database of its own, away from 0.
        number = 1 + int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 1
        yield f"{given.rstrip('/').removesuffix('/0')}/{number}"
        return
    server = EmbeddedRedis(_servers_dir)
    asyncio.run(server.start())
    yield server.url
    asyncio.run(server.stop())


@pytest.fixture
def redis_url(_redis_server_url: str) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(_redis_server_url) as client:
        client.flushdb()
    return _redis_server_url


@pytest.fixture(scope="session")
def _admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def _with_database(url: str, name: str) -> str:
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def _template(_admin: psycopg.Connection[Any], postgres_url: str) -> Iterator[str]:
    name = f"rasid_template_{uuid.uuid4().hex[:12]}"
    _admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(_with_database(postgres_url, name))
    yield name
    _admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database_url(_admin: psycopg.Connection[Any], postgres_url: str) -> Iterator[str]:
    """The owner's address of a fresh database without any schema: for tests of migrations."""
    databases = Databases(_admin, postgres_url, "template0", uses=1)
    with databases.one() as url:
        yield url


@pytest.fixture(scope="session")
def _databases(_admin: psycopg.Connection[Any], postgres_url: str, _template: str) -> Iterator[Databases]:
    databases = Databases(_admin, postgres_url, _template)
    yield databases
    databases.close()


@pytest.fixture
def database_url(_databases: Databases) -> Iterator[str]:
    """The owner's address of a migrated database that holds nothing, for this test alone."""
    with _databases.one() as url:
        yield url


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The test's database as its owner sees it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


# --- the product ---


def _hashed_by(hasher: PasswordHasher) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "HASHER", hasher)
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_hashes() -> Iterator[None]:
    yield from _hashed_by(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def costly_hashes() -> Iterator[None]:
    """PINs and passwords are hashed as in production; other tests hash them as cheaply as argon2 lets them."""
    yield from _hashed_by(HASHER)


@pytest.fixture(scope="session", autouse=True)
def _loggers_ask_again() -> Iterator[None]:
    """A logger that keeps what it was first configured as would log as another test had it."""
    configure = structlog.configure

    def uncached(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", uncached)
        yield


@pytest.fixture(autouse=True)
def _logs_put_back() -> Iterator[None]:
    """Servers and commands configure logs: later tests log as they did before."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def operator() -> Operator:
    """The sample operator of Kenya."""
    return load_operator(ROOT / "examples" / "kenya.toml")


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    """A fixed master key, for tests only."""
    return Keyring({1: bytes(range(32))})


@pytest.fixture
async def engine(database_url: str, operator: Operator, keyring: Keyring) -> AsyncIterator[api.Engine]:
    """An open engine on ``database_url``, closed after the test."""
    opened = await api.open_engine(database_url, operator, keyring)
    yield opened
    await opened.close()
