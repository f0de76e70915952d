"""What an SMF, an SMSF or a CTF says, in the shape of the specification's messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from engine.api import Engine
from engine.words import Subscriber, Unit
from tests.engine.shop import credit, open_line
from tests.network.api import Said

ROOT = "/nchf-convergedcharging/v3/chargingdata"
SMF = "8d4dc3f0-7b2e-4f43-9a90-6f1e1cde0a41"
MB = 1_000_000
#: where the core's worker finds what to tell
QUEUE = "nchf-changes"


def msisdn(line: Subscriber) -> str:
    return f"msisdn-{line.msisdn[1:]}"


def asking(sequence: int = 0, *groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A ChargingDataRequest of an SMF (TS 32.291 annex A shows one)."""
    return {
        "nfConsumerIdentification": {"nFName": SMF, "nodeFunctionality": "SMF"},
        "invocationTimeStamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "invocationSequenceNumber": sequence,
        "multipleUnitUsage": list(groups),
        **more,
    }


def opening(line: Subscriber | str, *groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The first request of a PDU session that nobody opened before."""
    name = line if isinstance(line, str) else msisdn(line)
    details = {
        "chargingId": uuid4().int & 0xFFFFFFFF,
        "userInformation": {"servedPEI": "imei-004401234567890"},
        "pduSessionInformation": {"pduSessionID": 5, "pduType": "IPV4", "dnnId": "internet"},
    }
    return asking(0, *groups, subscriberIdentifier=name, pDUSessionChargingInformation=details, **more)


def group(rating_group: int = 10, *, wanted: dict[str, int] | None = None, **used: int) -> dict[str, Any]:
    """One rating group: what is asked for (``{}``: as much as is right), and what was used."""
    said: dict[str, Any] = {"ratingGroup": rating_group}
    if wanted is not None:
        said["requestedUnit"] = wanted
    if used:
        said["usedUnitContainer"] = [{"localSequenceNumber": 1, "triggers": [], **used}]
    return said


async def data_line(engine: Engine, octets: int, **more: object) -> Subscriber:
    """A line with so many octets."""
    line = await open_line(engine, **more)
    await credit(engine, line, octets, Unit.OCTETS)
    return line


async def left(engine: Engine, line: Subscriber) -> int:
    """The octets that are left."""
    return (await engine.subscriber(line.msisdn)).total(Unit.OCTETS)


def resource(created: Said) -> str:
    """The path of the session that was opened."""
    assert created.status == 201, created.body
    return created.headers["Location"]


def only(said: Said) -> dict:
    """What is said of the one rating group."""
    (information,) = said.body["multipleUnitInformation"]
    return information
