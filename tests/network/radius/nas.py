"""An access server: packets made by pyrad, which others wrote, sent from a socket of its own."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from pyrad import packet
from pyrad.dictionary import Dictionary

SECRET = "a-secret-of-this-test"

#: numbers and types of RFC 2865, 2866, 2869, 4372, 5176 and TS 29.061
DICTIONARY = Dictionary(
    io.StringIO("""
ATTRIBUTE User-Name 1 string
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE NAS-Port 5 integer
ATTRIBUTE Filter-Id 11 string
ATTRIBUTE Class 25 octets
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Proxy-State 33 octets
ATTRIBUTE Acct-Status-Type 40 integer
VALUE Acct-Status-Type Start 1
VALUE Acct-Status-Type Stop 2
VALUE Acct-Status-Type Interim-Update 3
VALUE Acct-Status-Type Accounting-On 7
VALUE Acct-Status-Type Accounting-Off 8
ATTRIBUTE Acct-Delay-Time 41 integer
ATTRIBUTE Acct-Input-Octets 42 integer
ATTRIBUTE Acct-Output-Octets 43 integer
ATTRIBUTE Acct-Session-Id 44 string
ATTRIBUTE Acct-Session-Time 46 integer
ATTRIBUTE Acct-Input-Gigawords 52 integer
ATTRIBUTE Acct-Output-Gigawords 53 integer
ATTRIBUTE Event-Timestamp 55 date
ATTRIBUTE Message-Authenticator 80 octets
ATTRIBUTE Chargeable-User-Identity 89 string
ATTRIBUTE Error-Cause 101 integer
VENDOR 3GPP 10415
BEGIN-VENDOR 3GPP
ATTRIBUTE 3GPP-IMSI 1 string
END-VENDOR 3GPP
""")
)


class Nas(asyncio.DatagramProtocol):
    """Sends requests and keeps what is answered."""

    def __init__(self, name: str = "bng-1") -> None:
        self.name = name
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._next = 0

    async def start(self, port: int) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, remote_addr=("127.0.0.1", port))

    def stop(self) -> None:
        self.transport.close()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)

    def made(self, status: str, *, secret: str = SECRET, **attributes: Any) -> packet.AcctPacket:
        """A request, not sent yet; ``attributes`` with ``_`` for ``-``."""
        self._next = (self._next + 1) % 256
        made = packet.AcctPacket(id=self._next, dict=DICTIONARY, secret=secret.encode())
        made["Acct-Status-Type"] = status
        for name, value in ({"NAS_Identifier": self.name} | attributes).items():
            if value is not None:
                made[name.replace("_", "-")] = value
        return made

    def send(self, request: packet.AcctPacket) -> bytes:
        raw: bytes = request.RequestPacket()
        self.transport.sendto(raw)
        return raw

    async def ask(self, status: str, **attributes: Any) -> packet.AcctPacket:
        """Send a request, and check that the answer is to it and from who knows the secret."""
        request = self.made(status, **attributes)
        self.send(request)
        return await self.answered(request)

    async def answered(self, request: packet.AcctPacket) -> packet.AcctPacket:
        raw = await asyncio.wait_for(self.answers.get(), 10)
        answer = request.CreateReply(packet=raw)
        assert request.VerifyReply(answer, raw)
        assert answer.code == packet.AccountingResponse
        return answer

    async def unanswered(self, request: packet.AcctPacket | bytes, then: packet.AcctPacket) -> None:
        """Send what gets no answer, then what gets one: nothing has come before that."""
        self.transport.sendto(request if isinstance(request, bytes) else request.RequestPacket())
        self.send(then)
        await self.answered(then)
        assert self.answers.empty()
