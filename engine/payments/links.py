"""The link that a payer has to follow: it was written for them as a message, and a page shows it too.

The message waits a little: who stands before a page that has shown them the link need not be texted it.
"""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.tables import outbox
from engine.notices.told import drop_unsent
from engine.words import Payment

#: what the message is about
TOPIC = "payment.action"
#: seconds that it waits for a page to show the link
WAITS = 10


class Links:
    """The links of one installation's payments."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")

    async def link(self, payment: Payment) -> str | None:
        """Where the payer pays, or proves who they are (3-D Secure); None where nobody asked for it."""
        shard, message_id = _message(payment)
        query = sa.select(outbox.c.body["url"].astext).where(outbox.c.shard == shard, outbox.c.message_id == message_id)
        async with self._reads.connect() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else str(found)

    async def link_shown(self, payment: Payment) -> None:
        """The payer has the link before them: it need not be texted, if it is not on its way yet."""
        async with self._database.begin() as connection:
            await drop_unsent(connection, _message(payment))


def _message(payment: Payment) -> tuple[int, UUID]:
    return payment.account.shard, uuid5(payment.payment_id, TOPIC)
