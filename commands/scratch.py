"""An installation for a while: Postgres and Redis of its own, the sample lines, everything served in this process.

For commands that play with dialogs. It looks at no setting of a real installation, so it cannot touch one.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from commands.providers import sandbox_gateways
from commands.seed import issue, seed
from engine.books.databases import Books, migrate_books, open_books
from engine.books.invariants import Violation, check_all
from engine.books.tables import operation
from engine.words import AccountRef
from opening import Opened, open_process
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.redis import EmbeddedRedis
from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import CarrierSettings, GatewaySettings, PaymentGatewaySettings, Settings, load_operator

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "kenya.toml"
#: what a scratch database need not survive
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "on"}
#: the gateways of a scratch installation: one for each size of screen
GATEWAYS = {
    "africastalking": GatewaySettings(adapter="africastalking"),
    "africastalking-120": GatewaySettings(adapter="africastalking", septets=120),
}
#: seconds between two looks at payments that are under way, and how many are taken on at a time
LOOK_SECONDS, TAKEN = 0.2, 100


@dataclass(frozen=True, slots=True)
class Scratch:
    """An open scratch installation."""

    opened: Opened
    #: numbers of vouchers on sale
    vouchers: list[str]
    #: to look into the books from outside the engine
    books: Books

    async def more_vouchers(self, face_value: int, count: int) -> list[str]:
        """Numbers of fresh vouchers on sale, of ``face_value`` minor units each."""
        return await issue(self.opened.engine, face_value, count) if count else []

    async def let_pass(self, account: AccountRef, time: timedelta) -> None:
        """Let all that was done on an account be so much longer ago: to its owner a scratch database is no history."""
        columns = operation.c
        older = sa.update(operation).values(booked_at=columns.booked_at - time)
        mine = (columns.shard == account.shard, columns.account_id == account.account_id)
        async with self.books.billing.begin() as connection:
            await connection.execute(sa.text("SET LOCAL ROLE NONE"))
            await connection.execute(older.where(*mine))

    async def violations(self) -> list[Violation]:
        """What the books' invariants have to say."""
        return await check_all(self.books)


@asynccontextmanager
async def scratch(
    operator: Path | None = None, *, gateways: Mapping[str, GatewaySettings] = GATEWAYS, paying: bool = False
) -> AsyncIterator[Scratch]:
    """Open one for ``operator``'s file, by default Kenya's sample; ``paying``: with the sandbox's payment providers.

    Raises ``SettingsError``, ``EmbeddedError``.
    """
    folder = Path(tempfile.mkdtemp(prefix="rasid-scratch-"))
    folder.chmod(0o711)
    try:
        async with AsyncExitStack() as stack:
            postgres = await stack.enter_async_context(EmbeddedPostgres(folder, FAST))
            redis = await stack.enter_async_context(EmbeddedRedis(folder))
            path = (operator or SAMPLE).resolve()
            providers = await _providers(stack, folder, load_operator(path).currency) if paying else {}
            # Made without looking at the environment.
            settings = Settings.model_construct(
                database_url=postgres.socket_url,
                redis_url=redis.socket_url,
                operator=path,
                keys={1: secrets.token_hex(32)},
                gateways=dict(gateways),
                carriers={"simulator": CarrierSettings(adapter="simulator", per_second=2000.0)},
                payment_gateways=providers,
                funnel_percent=0,
            )
            await asyncio.to_thread(migrate_books, settings.owner_url, {})
            opened = await open_process(settings)
            stack.push_async_callback(opened.close)
            await opened.store.load()
            if paying:
                await opened.engine.payments.start()
                stack.push_async_callback(_end, asyncio.create_task(_pay(opened)))
            books = open_books(settings.database_url, {}, connections=2, writers=1)
            stack.push_async_callback(books.dispose)
            yield Scratch(opened, [str(one["pin"]) for one in await seed(opened.engine)], books)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _providers(stack: AsyncExitStack, folder: Path, currency: str) -> dict[str, PaymentGatewaySettings]:
    accounts = Accounts(api_key=secrets.token_hex(16), webhook_secret=f"whsec_{secrets.token_hex(16)}")
    server = PaymentsSandbox(accounts=accounts, state=folder / "payments.jsonl", pace=0.0)
    await server.start()
    stack.push_async_callback(server.stop)
    # Nobody listens for callbacks here: outcomes are asked for.
    given: dict[str, Any] = sandbox_gateways(server, accounts, currency, "http://127.0.0.1:9")
    return {"sandbox": PaymentGatewaySettings.model_validate(given["sandbox"])}


async def _pay(opened: Opened) -> None:
    while True:
        await opened.engine.resume_payments(TAKEN)
        await asyncio.sleep(LOOK_SECONDS)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
