"""What is written for a payer as a message and may be on a screen of theirs, too: a link to follow, a refusal.

The message waits a little: who stands before a screen that has said the same need not be texted it.
"""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.tables import outbox
from engine.notices.told import drop_unsent
from engine.words import Payment

#: what the messages are about
TOPIC, REFUSED = "payment.action", "payment.declined"
#: seconds that they wait for a screen to say the same
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


async def refusal_shown(database: AsyncEngine, payment: Payment, shard: int) -> None:
    """Whoever asked for a payment, in this shard, is answered that it was refused: they need not be texted that."""
    async with database.begin() as connection:
        await drop_unsent(connection, (shard, uuid5(payment.payment_id, REFUSED)))


def _message(payment: Payment) -> tuple[int, UUID]:
    return payment.account.shard, uuid5(payment.payment_id, TOPIC)
