"""Delivery receipts: what became of a message, from their text or their optional parameters, and how ids are spelled.

Source: SMPP 3.4 §5.2.12 (``esm_class``), §5.2.28 and §5.3.2.35 (states), §5.3.2.31 (network error), Appendix B (the
text, which the specification calls vendor-specific: fields are missing, renamed, in other orders). Times in the text
have no zone that anyone states, so they are left as they are spelled.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final, NamedTuple

from channels.smpp.names import Tag
from channels.smpp.pdu import DataMessage, ShortMessage, content, number, octets, words

#: bits 5 to 2 of ``esm_class`` say what a message is
KIND_BITS: Final = 0x3C
RECEIPT_KIND, INTERMEDIATE_KIND = 0x04, 0x20


class MessageState(IntEnum):
    """Where a message stands (SMPP 3.4 §5.2.28, SMPP 5.0 §4.7.15)."""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


#: the beginnings of the words of ``stat:``, some of which are cut to seven letters and some are not
STATES: Final = {
    "SCHED": MessageState.SCHEDULED,
    "ENROUTE": MessageState.ENROUTE,
    "BUFF": MessageState.ENROUTE,
    "DELIV": MessageState.DELIVERED,
    "EXPIR": MessageState.EXPIRED,
    "DELET": MessageState.DELETED,
    "UNDEL": MessageState.UNDELIVERABLE,
    "FAIL": MessageState.UNDELIVERABLE,
    "ACCEP": MessageState.ACCEPTED,
    "UNKN": MessageState.UNKNOWN,
    "REJEC": MessageState.REJECTED,
    "SKIP": MessageState.SKIPPED,
}
_FIELD = re.compile(r"(?:^|(?<=\s))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s?:", re.IGNORECASE)


class Receipt(NamedTuple):
    """What a receipt says, as far as it says it; ``None`` for the rest."""

    message_id: str | None
    state: MessageState | None
    #: the network's or the centre's code for what went wrong; None where there is none
    error: str | None
    submitted: str | None = None
    delivered: str | None = None
    submit_date: str | None = None
    done_date: str | None = None
    #: not in the repr of a log: the beginning of what was sent
    text: str | None = None

    def __repr__(self) -> str:
        return f"Receipt({self.message_id}, {self.state!r}, {self.error})"


def is_receipt(body: ShortMessage | DataMessage) -> bool:
    """Whether a delivery tells of an earlier message. Never guessed from the text, which anyone could write."""
    if body.esm_class & KIND_BITS in (RECEIPT_KIND, INTERMEDIATE_KIND):
        return True
    return octets(body.tlvs, Tag.RECEIPTED_MESSAGE_ID) is not None and octets(body.tlvs, Tag.MESSAGE_STATE) is not None


def read_receipt(body: ShortMessage | DataMessage) -> Receipt:
    """The receipt in a delivery. Optional parameters are believed before the text."""
    written = read_text(content(body).decode("latin-1"))
    state = number(body.tlvs, Tag.MESSAGE_STATE)
    failure = octets(body.tlvs, Tag.NETWORK_ERROR_CODE)
    return written._replace(
        message_id=words(body.tlvs, Tag.RECEIPTED_MESSAGE_ID) or written.message_id,
        state=written.state if state is None else _known(state),
        error=_network_error(failure) or written.error,
    )


def _known(state: int) -> MessageState:
    try:
        return MessageState(state)
    except ValueError:
        return MessageState.UNKNOWN


def _network_error(value: bytes | None) -> str | None:
    """One octet for the network's kind, two for its code; nothing where the code is 0."""
    if value is None or len(value) != 3 or not any(value[1:]):
        return None
    return f"{value[0]}:{int.from_bytes(value[1:])}"


def read_text(text: str) -> Receipt:
    """The fields of ``id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`` in any order and number."""
    fields: dict[str, str] = {}
    place, name = 0, ""
    for found in _FIELD.finditer(text):
        if name:
            fields.setdefault(name, text[place : found.start()].strip())
        place, name = found.end(), re.sub("[ _]", "", found[1].lower())
        if name == "text":  # the rest is the message's own, and may hold anything
            break
    if name:
        fields.setdefault(name, text[place:].strip())
    message_id, word, error = (_first_word(fields.get(one, "")) for one in ("id", "stat", "err"))
    word = word.upper()
    return Receipt(
        message_id=message_id or None,
        state=next((state for start, state in STATES.items() if word.startswith(start)), None),
        error=error if error.strip("0") else None,
        submitted=fields.get("sub"),
        delivered=fields.get("dlvrd"),
        submit_date=fields.get("submitdate"),
        done_date=fields.get("donedate"),
        text=fields.get("text"),
    )


def _first_word(value: str) -> str:
    return value.split(maxsplit=1)[0] if value else ""


def normal(message_id: str) -> str:
    """An id as it is stored: some centres pad it in one place and not in the other, or change its case."""
    return message_id.strip().lower().lstrip("0") or "0"


def spellings(message_id: str) -> tuple[str, ...]:
    """Every id that a receipt's id may mean, the likeliest first, each as ``normal`` spells it.

    Some centres answer a ``submit_sm`` with a hexadecimal id and write the receipt in decimal, others the other way
    round; digits alone do not tell which.
    """
    plain = normal(message_id)
    found = [plain]
    if plain.isascii() and plain.isdecimal() and len(plain) <= 20:
        found.append(f"{int(plain):x}")
    if re.fullmatch(r"[0-9a-f]{1,16}", plain):
        found.append(str(int(plain, 16)))
    return tuple(dict.fromkeys(found))
