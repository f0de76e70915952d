"""What a message centre delivers: texts from people and receipts, each acknowledged once it has been dealt with.

The handlers return after their commit, so an acknowledgement means "it is in the books". A failure on the way is
answered with ESME_RX_T_APPN: the centre keeps the message and sends it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from channels.smpp.arrivals import Arrivals
from channels.smpp.client.session import Delivery
from channels.smpp.names import Status, Tag
from channels.smpp.parts import Segment, unpack
from channels.smpp.pdu import DataMessage, ShortMessage, octets, sender, words
from channels.smpp.receipts import MessageState, is_receipt, normal, read_receipt, spellings
from channels.smpp.text import Unreadable, decode_text
from channels.sms.contract import DeliveryState, Incoming, Report
from channels.sms.smpp.assembly import Assembly
from channels.sms.smpp.options import SmppOptions

log = structlog.get_logger(__name__)

#: what a state of the centre's tells us; UNKNOWN tells nothing
STATES: Final = {
    MessageState.SCHEDULED: DeliveryState.SENT,
    MessageState.ENROUTE: DeliveryState.SENT,
    MessageState.ACCEPTED: DeliveryState.SENT,
    MessageState.DELIVERED: DeliveryState.DELIVERED,
    MessageState.EXPIRED: DeliveryState.EXPIRED,
    MessageState.UNDELIVERABLE: DeliveryState.UNDELIVERED,
    MessageState.DELETED: DeliveryState.FAILED,
    MessageState.REJECTED: DeliveryState.FAILED,
    MessageState.SKIPPED: DeliveryState.FAILED,
}


class Inbound:
    """Takes one centre's deliveries."""

    def __init__(
        self,
        *,
        name: str,
        options: SmppOptions,
        arrivals: Arrivals,
        assembly: Assembly,
        on_incoming: Callable[[Incoming], Awaitable[None]] | None,
        on_report: Callable[[Report], Awaitable[None]] | None,
    ) -> None:
        self._name = name
        self._options = options
        self._arrivals = arrivals
        self._assembly = assembly
        self._on_incoming = on_incoming
        self._on_report = on_report

    async def take(self, delivery: Delivery) -> None:
        """Deal with one delivery and answer it. Whatever is raised makes the centre send it again."""
        body = delivery.pdu.body
        if not isinstance(body, ShortMessage | DataMessage):
            raise TypeError(type(body).__name__)
        if is_receipt(body):
            await self._take_receipt(body)
            return
        try:
            segment = unpack(body)
            if segment.total == 1:
                await self._take_text(delivery, body, segment)
            else:
                await self._take_part(delivery, body, segment)
        except Unreadable as error:
            # It will not become readable by being sent again.
            log.info("smpp_text_unreadable", smsc=self._name, reason=str(error), data_coding=body.data_coding)

    async def _take_receipt(self, body: ShortMessage | DataMessage) -> None:
        receipt = read_receipt(body)
        state = None if receipt.state is None else STATES.get(receipt.state)
        if receipt.message_id is None or state is None:
            log.info("smpp_receipt_tells_nothing", smsc=self._name)
            return
        if self._on_report is None:
            raise RuntimeError("a receipt, and nobody to take it")
        carrier_id = normal(receipt.message_id)
        others = spellings(receipt.message_id)[1:] if self._options.receipt_ids == "any" else ()
        await self._on_report(
            Report(
                carrier=self._name,
                carrier_id=carrier_id,
                other_ids=others,
                state=state,
                error=receipt.error if state is not DeliveryState.DELIVERED else None,
                at=datetime.now(UTC),
            )
        )

    async def _take_text(self, delivery: Delivery, body: ShortMessage | DataMessage, segment: Segment) -> None:
        text = decode_text(segment.content, body.data_coding, self._options.default_alphabet)
        named = words(body.tlvs, Tag.RECEIPTED_MESSAGE_ID)
        if named:  # some centres name what they deliver: then no guess is needed
            await self._hand_over(normal(named), body, text)
            return
        arrival = await self._arrivals.begin(
            body.source_addr.encode(),
            body.destination_addr.encode(),
            bytes([body.data_coding]),
            segment.content,
            octets(body.tlvs, Tag.USER_MESSAGE_REFERENCE) or b"",
        )
        await self._hand_over(arrival.message_id, body, text)
        if delivery.answer(Status.ROK):
            await self._arrivals.acknowledged(arrival, delivery.session)

    async def _take_part(self, delivery: Delivery, body: ShortMessage | DataMessage, segment: Segment) -> None:
        # What is no text is none in any of its parts: nothing is kept to be joined, nobody waits for the rest.
        decode_text(segment.content, body.data_coding, self._options.default_alphabet)
        key = self._assembly.key(body.source_addr, body.destination_addr, segment, body.data_coding)
        found = await self._assembly.add(key, segment)
        if found == "handled":
            return
        if found == "waiting":
            if self._options.parts_acknowledged == "stored":
                return
            if not await self._assembly.wait(key, segment, self._options.parts_seconds):
                delivery.answer(Status.RX_T_APPN)
            return
        # Joined first: a character may lie across the cut.
        text = decode_text(b"".join(found), body.data_coding, self._options.default_alphabet)
        await self._hand_over(self._assembly.message_id(key, found), body, text)
        await self._assembly.handled(key, found)

    async def _hand_over(self, carrier_id: str, body: ShortMessage | DataMessage, text: str) -> None:
        if self._on_incoming is None:
            raise RuntimeError("a text, and nobody to take it")
        await self._on_incoming(
            Incoming(
                carrier=self._name,
                carrier_id=carrier_id,
                sender=sender(body),
                to=body.destination_addr,
                text=text,
                at=datetime.now(UTC),
            )
        )
