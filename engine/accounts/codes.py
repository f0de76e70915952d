"""One-time codes sent to a line: given, counted, compared, used up. What a code opens is its owner's to say."""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.notices.outbox import write_message
from engine.storage.sharding import new_id
from engine.words import LineRef, TooManyCodes
from runtime.keyring import Keyring

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=10)
#: wrong codes before the right one is refused too
CODE_TRIES = 5
#: codes for one line in a day: each brings ``CODE_TRIES`` new guesses
CODES_A_DAY = 10


class OneTimeCodes:
    """The codes of one purpose, one for each line at a time. Postgres keeps a keyed digest, never the code."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, table: sa.Table, purpose: str) -> None:
        """``table`` has the columns of ``link_code``; ``purpose`` keeps digests of different purposes apart."""
        self._database = database
        self._keyring = keyring
        self._table = table
        self._purpose = purpose

    async def give(self, line: LineRef) -> str:
        """A fresh code of six digits; it replaces an earlier one. Lives ten minutes. Raises ``TooManyCodes``."""
        async with self._database.begin() as connection:
            return await self._fresh(connection, line)

    async def send(self, line: LineRef, topic: str) -> None:
        """Text the line a fresh code, in the commit that makes it. Raises ``TooManyCodes``."""
        async with self._database.begin() as connection:
            code = await self._fresh(connection, line)
            await write_message(connection, line.account, line.line_id, new_id(), topic=topic, body={"code": code})

    async def _fresh(self, connection: AsyncConnection, line: LineRef) -> str:
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        now = datetime.now(UTC)
        key_id = self._keyring.current
        kept = self._table.c
        fresh = {
            "digest": self._digest(line, code, key_id),
            "key_id": key_id,
            "tries": 0,
            "expires_at": now + CODE_LIFE,
        }
        same_day = kept.window_from > now - timedelta(days=1)
        write = insert(self._table).values(**line._asdict(), **fresh, issued=1, window_from=now)
        write = write.on_conflict_do_update(
            index_elements=[kept.shard, kept.account_id, kept.line_id],
            set_={
                **fresh,
                "issued": sa.case((same_day, kept.issued + 1), else_=1),
                "window_from": sa.case((same_day, kept.window_from), else_=now),
            },
            where=sa.or_(sa.not_(same_day), kept.issued < CODES_A_DAY),
        )
        if (await connection.execute(write.returning(kept.shard))).first() is None:
            raise TooManyCodes
        return code

    async def use(self, line: LineRef, code: str) -> bool:
        """Count a try, commit, then compare; the right code is used up by being compared with."""
        kept = self._table.c
        live = (kept.expires_at > datetime.now(UTC), kept.digest.is_not(None))
        at = (kept.shard == line.shard, kept.account_id == line.account_id, kept.line_id == line.line_id)
        count = sa.update(self._table).where(*at, *live, kept.tries < CODE_TRIES).values(tries=kept.tries + 1)
        async with self._database.begin() as connection:
            row = (await connection.execute(count.returning(kept.digest, kept.key_id))).first()
        if row is None or not hmac.compare_digest(self._digest(line, code, row.key_id), row.digest):
            return False
        use_up = sa.update(self._table).where(*at, kept.digest == row.digest).values(digest=None)
        async with self._database.begin() as connection:
            # Of two who hold the right code one gets through.
            return (await connection.execute(use_up.returning(kept.shard))).first() is not None

    def _digest(self, line: LineRef, code: str, key_id: int) -> bytes:
        return self._keyring.digest(self._purpose, line.line_id.bytes + code.encode(), key_id)
