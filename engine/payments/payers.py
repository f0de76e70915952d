"""Who pays: read again from a payment's row when it is asked for once more, and the card that they want kept."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.guard.cards import Cards
from engine.payments import reading, store
from engine.payments.course import nothing_taken
from engine.payments.sealing import unseal_payer
from engine.payments.store import Connection, Holder
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import NewCard, Payer
from engine.words import LineRef, PaymentMethod
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)


class Payers:
    """The payers of one installation's payments."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, cards: Cards) -> None:
        self._keyring = keyring
        self._cards = cards
        self._holders = Writer[Stored, Holder | None](database, self._read)
        self._askers = Writer[Stored, LineRef | None](database, reading.askers)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._holders.close()
        await self._askers.close()

    async def holder(self, stored: Stored) -> Holder | None:
        """The account that a payment is for."""
        return await self._holders(stored)

    def payer(self, stored: Stored, holder: Holder) -> Payer:
        """Who pays; nobody where that was never known or is forgotten."""
        return unseal_payer(self._keyring, stored.account_id, holder, stored.sealed_payer)

    async def on_page(self, stored: Stored) -> bool:
        """Whether its payer enters a card on their provider's page."""
        return (await self._of(stored)).page

    async def keep_card(self, stored: Stored, card: NewCard | None) -> None:
        """Keep the card that a payment is being paid with, for the line that has asked for both.

        Call it before the payment is taken on: whoever dies between the two finds it waiting, has its provider asked
        and comes here again; the same card replaces itself. A card that cannot be kept holds up no credit.
        """
        if card is None or stored.line_id is None or not nothing_taken(stored):
            return
        payer = await self._of(stored)
        if not (payer.page and payer.keep):
            return
        asked_by = await self._askers(stored)
        try:
            await self._cards.save(
                asked_by or LineRef(*stored.account, stored.line_id),
                stored.gateway,
                card.token,
                brand=card.brand,
                last_four=card.last_four,
                expires_at=card.expires_at,
            )
        except (LookupError, ValueError) as error:
            log.warning("card_not_kept", reason=str(error))

    async def _of(self, stored: Stored) -> Payer:
        if stored.sealed_payer is None or stored.method != PaymentMethod.CARD:
            return Payer()
        holder = await self.holder(stored)
        return Payer() if holder is None else self.payer(stored, holder)

    async def _read(self, connection: Connection, batch: Sequence[Stored]) -> list[Holder | None]:
        return await store.holders(connection, [(*stored.account, stored.line_id) for stored in batch])
