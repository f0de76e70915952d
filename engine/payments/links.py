"""What is written as a message for who asks for a payment, and may be on a screen of theirs, too: a link, a refusal.

The message waits a little: who stands before a screen that has said the same need not be texted it.
"""

from __future__ import annotations

from uuid import uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.tables import outbox
from engine.notices.told import drop_unsent
from engine.words import LineRef, Payment

#: what the messages are about
ACTION, REFUSED = "payment.action", "payment.declined"
#: seconds that they wait for a screen to say the same
WAITS = 10


class Links:
    """The links of one installation's payments."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")

    async def link(self, payment: Payment, line: LineRef) -> str | None:
        """Where a line pays what it has asked for, or proves who it is (3-D Secure); None where it need not."""
        query = sa.select(outbox.c.body["url"].astext).where(
            outbox.c.shard == line.shard,
            outbox.c.message_id == uuid5(payment.payment_id, ACTION),
            outbox.c.account_id == line.account_id,
        )
        async with self._reads.connect() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else str(found)

    async def link_shown(self, payment: Payment, line: LineRef) -> None:
        """The line has the link before it: it need not be texted, if it is not on its way yet."""
        await shown(self._database, payment, ACTION, line)


async def shown(database: AsyncEngine, payment: Payment, topic: str, line: LineRef) -> None:
    """The line that has asked for a payment is answered with what a message would say: it need not be texted that."""
    async with database.begin() as connection:
        await drop_unsent(connection, (line.shard, uuid5(payment.payment_id, topic)))
