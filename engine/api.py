"""All that callers may use of the engine: open one, ask it, close it. The words are in ``engine.words``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from redis.asyncio import Redis

from engine.accounts.leaving import Member
from engine.audit.receipts import NoReceipt, SignedReceipt
from engine.books.databases import Books, open_books
from engine.books.history import Done
from engine.dialogs.hops import Hop, Hops, ScreenUse
from engine.dialogs.places import KeptPlace
from engine.dialogs.tables import PushState
from engine.disputes.tables import Outcome
from engine.events.rules import Retries
from engine.events.service import Delivery
from engine.faces.bookkeeping import Bookkeeping
from engine.faces.charging import Charging
from engine.faces.foundation import Foundation
from engine.faces.lines import Lines
from engine.faces.messaging import Messaging
from engine.faces.paying import Paying
from engine.faces.staffing import Staffing
from engine.mediation.service import Opened
from engine.payments.gateways import Gateways, no_gateways
from engine.recharge.tables import BatchState
from engine.reconciliation.cases import Selection
from engine.reconciliation.tables import Resolution
from engine.usage.history import purpose_of
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, Product, WebhookSettings

__all__ = [
    "BatchState",
    "Delivery",
    "Done",
    "Engine",
    "Hop",
    "Hops",
    "KeptPlace",
    "Member",
    "NoReceipt",
    "Opened",
    "Outcome",
    "PushState",
    "Resolution",
    "Retries",
    "ScreenUse",
    "Selection",
    "SignedReceipt",
    "open_engine",
    "purpose_of",
]


class Engine(Bookkeeping, Charging, Lines, Messaging, Paying, Staffing):
    """The recharge and balance engine of one operator: one face for each kind of caller, on one foundation.

    ``post`` is the one door for money; everything else reads, or keeps what no money hangs on. A face names what is
    asked every day (``subscriber``, ``pay``) and shows the areas that do the rest (``accounts``, ``vouchers``).
    """

    def __init__(
        self,
        books: Books,
        operator: Operator,
        keyring: Keyring,
        metrics: Metrics,
        lanes: int,
        *,
        webhooks: WebhookSettings | None = None,
        audit_export: Path | None = None,
        gateways: Gateways | None = None,
        redis: Redis | None = None,
    ) -> None:
        """Put the faces together on one installation's books; ``open_engine`` is the usual way to get one."""
        self.operator = operator
        self._books = books
        base = Foundation.lay(books, operator, keyring, metrics, lanes)
        Bookkeeping.__init__(self, base, audit_export)
        Charging.__init__(self, base)
        Lines.__init__(self, base, self.sessions.line_changed)
        Messaging.__init__(self, base, self.accounts, self._chats, webhooks or WebhookSettings())
        Paying.__init__(self, base, self.accounts, self.disputes, gateways or no_gateways(metrics), redis)
        Staffing.__init__(
            self,
            base,
            accounts=self.accounts,
            finder=self._finder,
            payments=self.payments,
            vouchers=self.vouchers,
            gateways=self.payment_gateways,
        )

    def products(self) -> tuple[Product, ...]:
        """The catalogue in the operator's order."""
        return self.operator.products

    async def ping(self) -> None:
        """Raise unless Postgres answers."""
        async with self._database.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def close(self) -> None:
        """Answer what is waiting, then let the connections go."""
        await self.payments.close()
        await self._door.close()
        await self._messages.close()
        await self._finder.close()
        await self._overviews.close()
        await self.mediation.close()
        await self.accounts.close()
        self.staff.close()
        await self._recovery.close()
        await self._books.dispose()


async def open_engine(
    database_url: str,
    operator: Operator,
    keyring: Keyring,
    *,
    lanes: int = 2,
    metrics: Metrics | None = None,
    books: Mapping[str, str] | None = None,
    webhooks: WebhookSettings | None = None,
    audit_export: Path | None = None,
    gateways: Gateways | None = None,
    redis: Redis | None = None,
    statement_seconds: int = 0,
) -> Engine:
    """An engine on migrated databases. Raises what the driver raises when one of them cannot be reached.

    ``lanes`` writers group concurrent operations into commits; two keep Postgres busy while Python decides. ``books``
    says book → address of those that do not live in ``database_url``; what a process that died left prepared there is
    finished first. ``webhooks`` says whom events may be sent to, ``audit_export`` where signed roots go; ``gateways``
    are who payments are asked of, ``redis`` is where the guard counts attempts to pay (without it none are: for tools,
    which ask nobody for money). A statement that takes longer than ``statement_seconds`` is broken off; 0: none.

    Raises ``SettingsError`` where a database has the schema of another version, or cannot take its book.
    """
    opened = open_books(database_url, books, connections=lanes + 12, writers=lanes, statement_seconds=statement_seconds)
    engine = Engine(
        opened,
        operator,
        keyring,
        metrics or Metrics(),
        lanes,
        webhooks=webhooks,
        audit_export=audit_export,
        gateways=gateways,
        redis=redis,
    )
    try:
        await opened.check_schemas()
        await opened.check(lanes)
        await engine.recover_batches()
        await engine.publish_catalogue()
    except BaseException:
        await engine.close()
        raise
    return engine
