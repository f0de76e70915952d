"""How message centres speak USSD, as data: SMPP names the parts of a dialogue, and every vendor orders them anew.

Source: SMPP 5.0 §4.8.4.64 (``ussd_service_op``) and §4.8.4.36 (``its_session_info``: octet 1 numbers the session; of
octet 2 the upper seven bits count the messages and the lowest bit ends it); what vendors do is known from public
transports for Tata, 6D Technologies and Mica centres, and from an issue of jsmpp for Huawei's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from channels.smpp.names import ServiceOp


class Reference(StrEnum):
    """What tells one person's sessions apart; where it is missing from a message, the number alone does."""

    #: octet 1 of ``its_session_info``
    NUMBER = "number"
    #: all of ``its_session_info`` but its lowest bit
    INFO = "info"
    #: ``user_message_reference``
    MESSAGE = "message"
    #: nothing: the number alone
    MSISDN = "msisdn"


class Dialled(StrEnum):
    """Where the dialled string stands in the message that begins a session; the other one is looked at next."""

    TEXT = "text"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way to speak USSD. An operation that none of the three sets names carries an answer of the person."""

    #: operations that begin a session, that end it, and that only confirm what asked for nothing
    begins: frozenset[int] = frozenset({ServiceOp.PSSD_INDICATION, ServiceOp.PSSR_INDICATION})
    ends: frozenset[int] = frozenset()
    confirms: frozenset[int] = frozenset({ServiceOp.USSN_CONFIRM})
    #: our operation that asks on, the one that ends what a person began, the one that ends what we began
    asks: int = ServiceOp.USSR_REQUEST
    finishes: int = ServiceOp.PSSR_RESPONSE
    notifies: int = ServiceOp.USSN_REQUEST
    reference: Reference = Reference.NUMBER
    dialled: Dialled = Dialled.TEXT


#: a person's abort as 6D's and Mica's centres say it
USER_ABORT: Final = 0x81
#: their end of a dialogue: the 17 of the specification read as hexadecimal
HEX_FINISH: Final = 0x17

DIALECTS: Final[Mapping[str, Dialect]] = {
    "standard": Dialect(ends=frozenset({USER_ABORT})),
    # It ends by the lowest bit of its_session_info; the operation stays a request.
    "tata": Dialect(
        begins=frozenset({ServiceOp.PSSR_INDICATION}),
        ends=frozenset({0x11}),
        finishes=ServiceOp.USSR_REQUEST,
        notifies=ServiceOp.USSR_REQUEST,
    ),
    "6d": Dialect(
        begins=frozenset({ServiceOp.PSSR_INDICATION}),
        ends=frozenset({USER_ABORT}),
        finishes=HEX_FINISH,
        reference=Reference.INFO,
    ),
    "mica": Dialect(
        begins=frozenset({ServiceOp.PSSR_INDICATION}),
        ends=frozenset({USER_ABORT}),
        finishes=HEX_FINISH,
        reference=Reference.MESSAGE,
        dialled=Dialled.DESTINATION,
    ),
    "huawei": Dialect(ends=frozenset({USER_ABORT}), reference=Reference.MSISDN),
}
