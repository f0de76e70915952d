"""A peer that says on a bare socket whatever a test wants, and reads with python-diameter's own reader."""

from __future__ import annotations

import asyncio
from typing import Any

from diameter.message import Avp, Message, constants as names
from diameter.message.commands import CapabilitiesExchangeRequest, CreditControlRequest

ME, REALM = b"pgw.test.example", b"test.example"


class Wire:
    """One connection."""

    def __init__(self) -> None:
        self._next = 0

    async def open(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    def close(self) -> None:
        self._writer.close()

    async def introduce(self, host: bytes = ME, application: int = 4) -> Message:
        asked = CapabilitiesExchangeRequest()
        asked.origin_host, asked.origin_realm = host, REALM
        asked.host_ip_address = ["127.0.0.1"]
        asked.vendor_id, asked.product_name = 0, "wire"
        asked.auth_application_id = [application]
        return await self.ask(asked.as_bytes())

    async def ask(self, raw: bytes) -> Message:
        self.send(raw)
        return await self.read()

    def send(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def read(self) -> Message:
        async with asyncio.timeout(10):
            head = await self._reader.readexactly(4)
            rest = await self._reader.readexactly(int.from_bytes(head[1:]) - 4)
        return Message.from_bytes(head + rest, plain_msg=True)

    async def ended(self) -> bool:
        """Whether the other side lets the connection go, saying nothing more."""
        async with asyncio.timeout(10):
            return await self._reader.read(1) == b""

    def made(self, kind: int = 1, **fields: Any) -> CreditControlRequest:
        """A request that is in order."""
        self._next += 1
        asked = CreditControlRequest()
        asked.session_id = f"wire;{self._next}"
        asked.origin_host, asked.origin_realm, asked.destination_realm = ME, REALM, b"rasid.example"
        asked.service_context_id = "32251@3gpp.org"
        asked.cc_request_type, asked.cc_request_number = kind, 0
        asked.header.application_id = 4
        asked.header.hop_by_hop_identifier = asked.header.end_to_end_identifier = self._next
        for name, value in fields.items():
            setattr(asked, name, value)
        return asked


def value(message: Message, *path: int) -> Any:
    """What the first AVP at the end of a path holds; None if there is none."""
    found = message.find_avps(*((code, 0) for code in path))
    return found[0].value if found else None


def result(message: Message) -> int:
    """The Result-Code."""
    return int(value(message, names.AVP_RESULT_CODE))


def failed(message: Message) -> list[int]:
    """The codes of what is in Failed-AVP."""
    return [one.code for group in message.find_avps((names.AVP_FAILED_AVP, 0)) for one in group.value]


def with_avp(asked: Message, extra: Avp | bytes) -> bytes:
    """A request with something more at its end, whatever that is."""
    raw = asked.as_bytes() + (extra if isinstance(extra, bytes) else extra.as_bytes())
    return raw[:1] + len(raw).to_bytes(3) + raw[4:]
