"""Texts and reports from carriers, whichever way they come: answered and committed before they are acknowledged.

Whoever acknowledges only after these calls have returned loses nothing: a crash in between makes the carrier repeat,
and what comes again finds its effect under the same ids.
"""

from __future__ import annotations

from uuid import UUID, uuid5

import structlog

from channels.chat.contract import ChatAnswer
from channels.sms.contract import Incoming, Report
from channels.text_turn import SILENCE, Shown
from channels.texts import TextConversation
from engine.api import Engine
from engine.words import BadNumber, UnknownLine

log = structlog.get_logger(__name__)

#: names every reply that goes out as a text of its own; changing it would let a repeated text be answered twice
NAMESPACE = UUID("0d1b6b0e-55c7-5a29-8d0c-7a6c1f1e9d34")


class Inbound:
    """What carriers hand us. One per process."""

    def __init__(self, engine: Engine, texts: TextConversation) -> None:
        """``texts`` serves every configured carrier."""
        self._engine = engine
        self._texts = texts

    async def answer(self, incoming: Incoming) -> Shown:
        """What the person is to read, or silence. A repeated text gets the same answer."""
        if incoming.answered and incoming.opt is None:
            return SILENCE
        shown = await self._texts.receive(
            incoming.carrier,
            incoming.sender,
            incoming.carrier_id,
            incoming.sender,
            incoming.text,
            opt=incoming.opt,
        )
        return SILENCE if incoming.answered else shown

    async def told(self, shown: Shown | ChatAnswer) -> None:
        """The person has this answer, without the outbox: a receipt that says the same need not go. Never raises."""
        if shown.receipt is None:
            return
        try:
            await self._engine.told.receipt_told(shown.receipt)
        except Exception as error:  # noqa: BLE001 - told twice is better than a reply that was sent and then failed
            log.warning("receipt_not_dropped", reason=type(error).__name__)

    async def take(self, incoming: Incoming) -> None:
        """Answer by a text of its own, in the outbox by the time this returns, once however often it is called.

        Raises what the engine raises while the answer could not be committed: the carrier must then repeat.
        """
        shown = await self.answer(incoming)
        if shown.silent:
            return
        try:
            subscriber = await self._engine.subscriber(incoming.sender)
        except (UnknownLine, BadNumber):
            # The outbox reaches lines of ours; a stranger hears nothing, and we pay for no text to them.
            log.info("stranger_not_answered", carrier=incoming.carrier)
            return
        # Who wrote by text is answered by text, by the carrier that was written through while it is well.
        said = {"text": shown.text, "carrier": incoming.carrier}
        message_id = uuid5(NAMESPACE, f"{incoming.carrier}|{incoming.carrier_id}")
        await self._engine.tell(
            subscriber.account, subscriber.line_id, message_id, "reply", said, instead_of=shown.receipt
        )

    async def report(self, report: Report) -> None:
        """Note what became of a text that was sent. Unknown ids are kept for the attempt that is still being noted."""
        ids = (report.carrier_id, *report.other_ids)
        await self._engine.record_report(report.carrier, ids, report.state, report.error)

    async def opt_out(self, carrier: str, number: str) -> None:
        """Someone told their carrier that they want to hear no more. A number of no line of ours changes nothing."""
        try:
            await self._engine.opt_out(number, True)
        except (UnknownLine, BadNumber):
            log.info("stranger_opted_out", carrier=carrier)
