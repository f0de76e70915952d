"""``manage.py demo``: a whole operator on this machine, in one command."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, get_args

import aiohttp
import structlog
import typer
from redis.asyncio import Redis
from rich.console import Console

from channels.ussd.configured import doors
from commands.access import open_network
from commands.announcing import Samples, announce, base_url
from commands.gateways import GATEWAYS
from commands.keeper import KeptProcess, keep_server, stop_all
from commands.providers import payment_providers
from commands.seed import seed
from commands.settings_file import TEMPORARY, write_settings, written_by_a_demo
from commands.staff import demo_staff
from engine.api import open_engine
from engine.books.databases import migrate_books
from portal.simulator import offer_vouchers
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.process import EmbeddedError, kept, last_lines
from runtime.embedded.redis import EmbeddedRedis
from runtime.logs import configure_logs
from runtime.pausing import stop_event
from sandbox.bot_api import BotApi
from sandbox.core import PacketCore
from settings import PREFIX, Operator, Right, Settings, given_settings, load_operator, load_settings

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("ussd_server.py", "bot.py")
READY_WITHIN = 60.0
log = structlog.get_logger(__name__)


def demo(
    operator: Annotated[Path | None, typer.Option(help="The operator's file; by default examples/kenya.toml.")] = None,
    state: Annotated[Path | None, typer.Option(help="Keep everything here; by default a temporary folder.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port; by default PORT, else 8080.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready, for programs.")] = False,
) -> None:
    """Serve a sample operator until stopped, with Postgres and Redis of its own unless their addresses are set."""
    configure_logs("demo", logging.INFO if as_json else logging.WARNING)
    if written_by_a_demo(Path(os.environ.get("RASID_CONFIG", ""))):
        del os.environ["RASID_CONFIG"]
    tell, stays = Console(quiet=as_json), state is not None or "database_url" in given_settings()
    tell.print("Starting: Postgres, Redis, the servers and their neighbours …", style="dim")
    with _state_folder(state) as folder, _log_file(folder, as_json) as output:
        asyncio.run(_serve(folder, output, operator=operator, port=port, as_json=as_json))
    tell.print("Stopped." if stays else "Stopped; its data is gone (ARGS='--state FOLDER' keeps it).", style="dim")


@contextmanager
def _state_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder of this run. With a database of the user's own the keys must last as long as its rows do."""
    if wanted is None and "database_url" in given_settings():
        wanted = ROOT / ".rasid"
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _log_file(folder: Path, as_json: bool) -> Iterator[IO[bytes] | int]:
    """Where the processes' logs go: to stderr for programs, beside the state for people who look at the panel."""
    if as_json:
        yield sys.stderr.fileno()
        return
    with (folder / "rasid.log").open("ab") as file:
        yield file


async def _serve(
    folder: Path, output: IO[bytes] | int, *, operator: Path | None, port: int | None, as_json: bool
) -> None:
    stopped = stop_event(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    async with _servers(folder) as servers, AsyncExitStack() as sandbox:
        _set_environment(folder, operator, port)
        api_key = _api_key()
        settings = load_settings()
        _check_port(settings)
        sample = load_operator(settings.operator)
        # Refused here, by name: the server would end on it again and again.
        doors(settings, sample)
        if settings.telegram is None:
            settings = await sandbox.enter_async_context(_bot_api(settings))
        if not settings.payment_gateways:
            settings = await sandbox.enter_async_context(payment_providers(settings, folder))
        if api_key is not None and not settings.simulator_core:
            settings = await sandbox.enter_async_context(_packet_core(settings, api_key))
        settings = open_network(settings, sample)
        await asyncio.to_thread(migrate_books, settings.owner_url, settings.book_owner_urls)
        samples = await _seed(settings, sample)
        processes = [KeptProcess(ROOT / script, output) for script in SCRIPTS]
        tasks = [asyncio.create_task(kept.run()) for kept in processes]
        tasks += [
            asyncio.create_task(keep_server(name, lambda server=server: server.pid is None, server.start))  # type: ignore[misc]
            for name, server in servers.items()
        ]
        try:
            if await _wait_until_ready(settings, processes, stopped, folder):
                announce(settings, sample, samples, api_key, write_settings(settings, folder), as_json=as_json)
                await stopped.wait()
        finally:
            await stop_all(tasks)


@asynccontextmanager
async def _servers(folder: Path) -> AsyncIterator[dict[str, EmbeddedPostgres | EmbeddedRedis]]:
    """Postgres and Redis of our own where no address is set, put into the environment of the processes to come."""
    async with AsyncExitStack() as stack:
        started: dict[str, EmbeddedPostgres | EmbeddedRedis] = {}
        if "database_url" not in given_settings():
            postgres = await stack.enter_async_context(EmbeddedPostgres(folder))
            os.environ["DATABASE_URL"] = postgres.socket_url
            started["postgres"] = postgres
        if "redis_url" not in given_settings():
            redis = await stack.enter_async_context(EmbeddedRedis(folder))
            os.environ["REDIS_URL"] = redis.socket_url
            started["redis"] = redis
        yield started


@asynccontextmanager
async def _bot_api(settings: Settings) -> AsyncIterator[Settings]:
    """The sandbox's Bot API server, and the settings with a bot that it serves, also in the environment."""
    # In the shape of BotFather's tokens: the bot's number, a colon, 35 characters.
    token = f"{secrets.randbelow(9 * 10**8) + 10**8}:{secrets.token_urlsafe(26)}"
    server = BotApi(token)
    await server.start()
    telegram = {
        "token": token,
        "mode": "webhook",
        "secret_token": secrets.token_hex(16),
        "base_url": server.base_url,
        "public_url": base_url(settings),
        "sandbox": True,
    }
    os.environ["RASID_TELEGRAM"] = json.dumps(telegram)
    try:
        yield load_settings()
    finally:
        await server.stop()


@asynccontextmanager
async def _packet_core(settings: Settings, api_key: str) -> AsyncIterator[Settings]:
    """The sandbox's packet core, which charges at our own server, and the settings with its address."""
    core = PacketCore(base_url(settings), api_key)
    await core.start()
    os.environ["RASID_SIMULATOR_CORE"] = core.base_url
    try:
        yield load_settings()
    finally:
        await core.stop()


def _set_environment(folder: Path, operator: Path | None, port: int | None) -> None:
    """Every setting that the processes need; what the user has set stays, what they say on the command line wins.

    In the environment, where it is above the user's file: what that says is left out.
    """
    if operator is not None:
        os.environ["RASID_OPERATOR"] = str(operator.resolve())
    if port is not None:
        os.environ["RASID_PORT"] = str(port)
    given = given_settings()
    defaults = {
        "operator": str(ROOT / "examples" / "kenya.toml"),
        "host": "127.0.0.1",
        "simulator": "true",
        "portal": "{}",
        "console": "{}",
        "gateways": json.dumps(GATEWAYS),
        "carriers": json.dumps(_carriers()),
        "audit_export": str(folder / "audit"),
        "funnel_percent": "100",
    }
    if "keys" not in given:
        defaults["keys"] = kept(folder / "keys.json", lambda: json.dumps({"1": secrets.token_hex(32)}))
    for name, value in defaults.items():
        if name not in given:
            os.environ[PREFIX + name.upper()] = value


def _api_key() -> str | None:
    """This run's key for the interfaces of other systems, allowed everything; None where the user set their own."""
    if "api_keys" in given_settings():
        return None
    key = secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    os.environ["RASID_API_KEYS"] = json.dumps({"demo": {"digest": digest, "rights": sorted(get_args(Right))}})
    return key


def _carriers() -> dict[str, Any]:
    """Texts go to the simulator's phone; the others bring texts in, signed with secrets of this run."""
    account = {"account_sid": f"AC{secrets.token_hex(16)}", "auth_token": secrets.token_hex(16)}
    whatsapp = {"channel": "whatsapp", "options": {**account, "sender": "+14155238886"}}
    africastalking = {"username": "sandbox", "api_key": secrets.token_hex(16)}
    return {
        "simulator": {"adapter": "simulator", "per_second": 2000},
        "twilio": {"adapter": "twilio", "prefixes": [], "options": account},
        "whatsapp": {"adapter": "twilio", "prefixes": [], **whatsapp},
        "africastalking": {"adapter": "africastalking", "prefixes": [], "options": africastalking},
    }


async def _seed(settings: Settings, operator: Operator) -> Samples:
    engine = await open_engine(settings.database_url, operator, settings.keyring(), lanes=1, books=settings.books)
    try:
        samples = Samples(await seed(engine), await demo_staff(engine.staff))
    finally:
        await engine.close()
    if settings.simulator:
        async with Redis.from_url(settings.redis_url) as redis:
            await offer_vouchers(redis, samples.vouchers)
    return samples


async def _wait_until_ready(
    settings: Settings, processes: list[KeptProcess], stopped: asyncio.Event, folder: Path
) -> bool:
    """True when the server answers; False when we were told to stop before. Raises ``EmbeddedError``."""
    deadline = asyncio.get_running_loop().time() + READY_WITHIN
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
        while not stopped.is_set():
            failing = [kept.name for kept in processes if kept.failures >= 3]
            if failing or asyncio.get_running_loop().time() > deadline:
                what = f"{', '.join(failing)} ends again and again" if failing else "the server does not get ready"
                written = folder / "rasid.log"
                raise EmbeddedError(f"{what}:\n{last_lines(written, 20)}" if written.exists() else what)
            try:
                async with client.get(f"{base_url(settings)}/health/ready") as answer:
                    running = answer.status == 200 and all(kept.running for kept in processes)
                    if running and await _bot_listens(settings, client):
                        return True
            except (aiohttp.ClientError, TimeoutError):
                pass  # not listening yet
            await asyncio.sleep(0.05)
    return False


async def _bot_listens(settings: Settings, client: aiohttp.ClientSession) -> bool:
    """Whether updates would be taken; so they would where there is no webhook. What is posted is no update."""
    telegram = settings.telegram
    if telegram is None or telegram.mode != "webhook":
        return True
    headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.secret_token}
    async with client.post(f"{base_url(settings)}/telegram/webhook", json={}, headers=headers) as answer:
        return answer.status == 200


def _check_port(settings: Settings) -> None:
    """Raise ``EmbeddedError`` when somebody else serves on our port: their answers would pass for ours."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise EmbeddedError(f"port {settings.port}: {error.strerror}; choose another by PORT") from None
