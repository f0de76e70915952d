"""Cards that a line pays with again: the gateway's token sealed, and what a person recognises the card by."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.secrets import DataKey
from engine.accounts.store import line_ref
from engine.accounts.tables import account
from engine.guard.tables import saved_card
from engine.storage.sharding import new_id
from engine.words import CARDS_MOST, LineRef, PaymentRefused, Refused, SavedCard, Subscriber
from runtime.keyring import Keyring

#: what a sealed token is bound to, beside its account
_CARD = "card"


class Cards:
    """The saved cards of one installation."""

    def __init__(self, database: AsyncEngine, keyring: Keyring) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._keyring = keyring

    async def save(
        self, line: Subscriber | LineRef, gateway: str, token: str, *, brand: str, last_four: str, expires_at: datetime
    ) -> SavedCard:
        """Keep a card for a line: ``token`` is what its gateway charges it by, sealed here and never shown again.

        ``expires_at`` is the first moment at which the card is no longer valid. Saving a card again (same brand, last
        four and expiry) replaces its token; those that are no longer valid, which nobody is shown, go. Raises
        ``ValueError`` for what is no card, and ``LookupError`` where the account's person was erased or the line keeps
        as many as it may.
        """
        if not (last_four.isascii() and last_four.isdigit() and len(last_four) == 4):
            raise ValueError("last_four: four digits are meant")
        if not token or not brand.strip():
            raise ValueError("token and brand: neither may be empty")
        ref = line_ref(line)
        card = SavedCard(ref, new_id(), gateway, brand.strip()[:20], last_four, expires_at)
        async with self._database.begin() as connection:
            key = (await connection.execute(_key_of(ref).with_for_update(key_share=True))).one_or_none()
            if key is None or key.wrapped_key is None:
                raise LookupError("no such account, or its person was erased")
            same = sa.and_(_of(ref), *(saved_card.c[name] == getattr(card, name) for name in _LOOKS))
            ended = sa.and_(_of(ref), saved_card.c.expires_at <= datetime.now(UTC))
            await connection.execute(sa.delete(saved_card).where(sa.or_(same, ended)))
            kept = (await connection.execute(sa.select(sa.func.count()).where(_of(ref)))).scalar_one()
            if kept >= CARDS_MOST:
                raise LookupError(f"a line keeps at most {CARDS_MOST} cards")
            data_key = DataKey.unwrap(self._keyring, ref.account_id, key.wrapped_key, key.key_id)
            row = {
                **ref._asdict(),
                **{name: getattr(card, name) for name in ("card_id", "gateway", *_LOOKS)},
                "sealed_token": data_key.seal(_CARD, token),
                "added_at": datetime.now(UTC),
            }
            await connection.execute(sa.insert(saved_card).values(row))
        return card

    async def of_line(self, line: Subscriber) -> list[SavedCard]:
        """The cards of a line that are still valid, the newest first."""
        columns = [saved_card.c[name] for name in ("card_id", "gateway", *_LOOKS)]
        query = (
            sa.select(*columns)
            .where(_of(line.line), saved_card.c.expires_at > datetime.now(UTC))
            .order_by(saved_card.c.added_at.desc())
        )
        async with self._reads.connect() as connection:
            return [SavedCard(line.line, *row) for row in await connection.execute(query)]

    async def forget(self, line: Subscriber, card_id: UUID) -> bool:
        """Delete a card and its token. False if the line has no such card."""
        which = sa.and_(_of(line.line), saved_card.c.card_id == card_id)
        async with self._database.begin() as connection:
            return (await connection.execute(sa.delete(saved_card).where(which))).rowcount > 0

    async def token(self, card: SavedCard) -> str:
        """What the card's gateway charges it by. Raises ``PaymentRefused`` where it was forgotten meanwhile."""
        query = (
            sa.select(saved_card.c.sealed_token, account.c.wrapped_key, account.c.key_id)
            .join(
                account,
                sa.and_(account.c.shard == saved_card.c.shard, account.c.account_id == saved_card.c.account_id),
            )
            .where(_of(card.line), saved_card.c.card_id == card.card_id)
        )
        async with self._reads.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or row.wrapped_key is None:
            raise PaymentRefused(Refused.CARD_UNKNOWN)
        key = DataKey.unwrap(self._keyring, card.line.account_id, row.wrapped_key, row.key_id)
        return key.unseal(_CARD, row.sealed_token)


#: what a card looks like to the person who holds it
_LOOKS = ("brand", "last_four", "expires_at")


def _of(line: LineRef) -> sa.ColumnElement[bool]:
    return sa.and_(*(saved_card.c[name] == value for name, value in line._asdict().items()))


def _key_of(line: LineRef) -> sa.Select[tuple[bytes | None, int]]:
    own = sa.and_(account.c.shard == line.shard, account.c.account_id == line.account_id)
    return sa.select(account.c.wrapped_key, account.c.key_id).where(own)
