"""What people are told, and how far it has come."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec


class DeliveryState(StrEnum):
    """How far a message has come; reports come in any order, so a state only ever gives way to one of higher rank."""

    QUEUED = "queued"
    #: the carrier has it, or the network has
    SENT = "sent"
    DELIVERED = "delivered"
    #: the network gave up
    UNDELIVERED = "undelivered"
    #: the carrier refused or gave up
    FAILED = "failed"
    #: its validity ran out on the way
    EXPIRED = "expired"

    @property
    def rank(self) -> int:
        """0 queued, 1 sent, 2 for the states after which nothing more comes."""
        return {DeliveryState.QUEUED: 0, DeliveryState.SENT: 1}.get(self, 2)


class Channel(StrEnum):
    """Where a person may be told things."""

    SMS = "sms"
    #: texts through a carrier that speaks it, to the same number
    WHATSAPP = "whatsapp"
    #: a chat that was linked to the line
    TELEGRAM = "telegram"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox row claimed for delivery. ``message_id`` is stable: a second delivery carries the same one."""

    shard: int
    message_id: UUID
    #: E.164, decrypted for this delivery; None for messages to the operator
    msisdn: str | None
    language: str
    currency: str
    #: one of ``dialogs.messages.TOPICS``: ``recharge.done``, ``alert.low_balance``, ``security.pin_changed`` …
    topic: str
    #: codes, ids and amounts; times as ISO 8601; ``text`` where the words were said elsewhere (replies, campaigns)
    body: dict[str, Any]
    created_at: datetime
    attempts: int
    #: where the person wants to be written to; ``chats`` has an address there, or it goes out as a text
    channel: Channel = Channel.SMS
    #: chat app → the chat's id, decrypted; only looked up for a channel that needs it
    chats: dict[str, str] = {}
    #: the carrier that an earlier claim handed it to without hearing what became of it
    handed_to: str | None = None
    #: may be sent again when nobody knows whether it was sent: twice is better than never
    repeatable: bool = False


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up, as staff sees it. No number: the line's id finds it."""

    message_id: UUID
    line_id: UUID | None
    topic: str
    attempts: int
    carrier: str | None
    #: why: a carrier's code, or ``unknown: …`` where it may have been sent
    error: str | None
    created_at: datetime


class DeliveryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a message: handed to a carrier, refused by it, or reported on."""

    state: DeliveryState
    carrier: str | None
    error: str | None
    at: datetime


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """How a line wants to be told things. The operator's own quiet hours come on top for what can wait."""

    channel: Channel = Channel.SMS
    #: local times of the operator's zone between which the line is left alone; a start after the end spans midnight
    quiet_hours: tuple[time, time] | None = None
    #: topics, or their first part (``alert``), that it does not want to hear of
    muted: tuple[str, ...] = ()
    #: STOP: nothing but answers, security notices and receipts
    opted_out: bool = False
