"""What can be set for one USSD centre: ``gateways.<name>.options`` of the adapter ``smpp``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from channels.smpp.client.words import Limits
from channels.smpp.options import CentreOptions
from channels.ussd.smpp.dialects import DIALECTS, Dialect, Dialled, Reference

#: turns served at the same time on one session, and how many more may wait
HANDLERS: Final = 200


def _operations(spelled: str) -> frozenset[int]:
    """``0x01, 18`` as operations. Raises ``ValueError``."""
    found = set()
    for part in filter(None, (one.strip() for one in spelled.split(","))):
        try:
            operation = int(part, 0)
        except ValueError:
            operation = -1
        if not 0 <= operation <= 0xFF:
            raise ValueError(f"{part!r} is no operation: numbers of one octet, with commas between them")
        found.add(operation)
    return frozenset(found)


def _checked(spelled: str) -> str:
    _operations(spelled)
    return spelled


Operations = Annotated[str, AfterValidator(_checked)]


class UssdSmppOptions(CentreOptions):
    """One USSD centre: a dialect, and where it differs from that."""

    service_type: str = Field(default="USSD", max_length=5)
    #: a dialogue fails if its turn waits for others': wider than for texts
    window: int = Field(default=100, ge=1, le=1000)

    dialect: Literal["standard", "tata", "6d", "mica", "huawei"] = "standard"
    #: operations that begin a session, end it, or confirm what asked for nothing: ``0x01, 0x12``; empty: the dialect's
    begins: Operations = ""
    ends: Operations = ""
    confirms: Operations = ""
    #: our operations: to ask on, to end what a person began, to end what we began; -1: the dialect's
    asks: int = Field(default=-1, ge=-1, le=255)
    finishes: int = Field(default=-1, ge=-1, le=255)
    notifies: int = Field(default=-1, ge=-1, le=255)
    #: what tells sessions apart, and where the dialled string stands; empty: the dialect's
    reference: Literal["", "number", "info", "message", "msisdn"] = ""
    dialled: Literal["", "text", "destination"] = ""

    #: ``data_coding`` of screens in the default alphabet and in UCS-2 (3GPP TS 23.038 §5: 0x0F and 0x48; many centres
    #: want SMPP's 0x08)
    plain_coding: int = Field(default=0x0F, ge=0, le=255)
    ucs2_coding: int = Field(default=0x08, ge=0, le=255)
    #: how people's addresses are typed in what we send first (SMPP 3.4 §5.2.5, §5.2.6): 1, 1 is E.164
    person_ton: int = Field(default=1, ge=0, le=255)
    person_npi: int = Field(default=1, ge=0, le=255)

    def spoken(self) -> Dialect:
        """The dialect with what is set otherwise."""
        other: dict[str, Any] = {
            name: _operations(getattr(self, name)) for name in ("begins", "ends", "confirms") if getattr(self, name)
        }
        other |= {name: getattr(self, name) for name in ("asks", "finishes", "notifies") if getattr(self, name) >= 0}
        if self.reference:
            other["reference"] = Reference(self.reference)
        if self.dialled:
            other["dialled"] = Dialled(self.dialled)
        return replace(DIALECTS[self.dialect], **other)

    def limits(self) -> Limits:
        """What one session carries."""
        return Limits(
            window=self.window,
            answer_seconds=self.answer_seconds,
            enquire_seconds=self.enquire_seconds,
            handlers=HANDLERS,
        )
