"""The link that a payer has to follow: it was written for them as a message, and a page shows it too."""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.tables import outbox
from engine.words import Payment

#: what the message is about
TOPIC = "payment.action"


class Links:
    """The links of one installation's payments."""

    def __init__(self, database: AsyncEngine) -> None:
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")

    async def link(self, payment: Payment) -> str | None:
        """Where the payer proves who they are (3-D Secure); None where nobody asked for it."""
        message_id: UUID = uuid5(payment.payment_id, TOPIC)
        query = sa.select(outbox.c.body["url"].astext).where(
            outbox.c.shard == payment.account.shard, outbox.c.message_id == message_id
        )
        async with self._reads.connect() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else str(found)
