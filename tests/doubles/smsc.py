"""A message centre on a socket that misbehaves on request: what a well-behaved peer would never do.

It speaks through the product's own codec, which ``tests/channels/smpp/test_codec.py`` holds to an independent one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from channels.smpp.codec import Framer, decode, encode
from channels.smpp.names import RESPONSE, Command, Status
from channels.smpp.pdu import BindResponse, Body, MessageResponse, Nothing, Pdu

#: what has not happened by then never will, however busy the machine is
PATIENCE_SECONDS = 60.0
BINDS = (Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER)


class Connection:
    """One client of the centre."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.answers: dict[int, asyncio.Future[Pdu]] = {}
        self.sequence = 0

    def write(self, command: int, body: Body, *, sequence: int, status: int = 0) -> None:
        self.writer.write(encode(command, body, sequence=sequence, status=status))

    async def ask(self, command: int, body: Body) -> Pdu:
        """Send a request and wait for the answer."""
        self.sequence += 1
        future = self.answers[self.sequence] = asyncio.get_running_loop().create_future()
        self.write(command, body, sequence=self.sequence)
        return await asyncio.wait_for(future, PATIENCE_SECONDS)

    def drop(self) -> None:
        """Cut the line without a word."""
        self.writer.transport.abort()


class Smsc:
    """Takes every bind with ``bind_status`` and every ``submit_sm`` with what ``on_submit`` says.

    ``on_submit`` gets the connection, the PDU and how many came before it, and returns a status, or None for no answer.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.bind_status = 0
        self.on_submit: Callable[[Connection, Pdu, int], int | None] = lambda _connection, _pdu, _before: 0
        self.answers_enquiries = True
        #: every PDU that came, in order
        self.seen: list[Pdu] = []
        self.submitted: list[Pdu] = []
        self.connections: list[Connection] = []
        #: how many connections were ever made
        self.connects = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.drop()
        await self._server.wait_closed()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to have happened."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()
                self._changed.clear()

    def count(self, command: int) -> int:
        """How many PDUs of a command came."""
        return sum(pdu.command == command for pdu in self.seen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        self.connections.append(connection)
        self.connects += 1
        framer = Framer()
        try:
            while data := await reader.read(65_536):
                for frame in framer.feed(data):
                    self._take(connection, decode(frame))
                self._changed.set()
        except OSError:
            pass
        finally:
            self.connections.remove(connection)
            self._changed.set()
            writer.close()

    def _take(self, connection: Connection, pdu: Pdu) -> None:
        self.seen.append(pdu)
        if pdu.command & RESPONSE:
            future = connection.answers.pop(pdu.sequence, None)
            if future is not None and not future.done():
                future.set_result(pdu)
        elif pdu.command in BINDS:
            body = BindResponse(system_id="double")
            connection.write(pdu.command | RESPONSE, body, sequence=pdu.sequence, status=self.bind_status)
        elif pdu.command == Command.SUBMIT_SM:
            status = self.on_submit(connection, pdu, len(self.submitted))
            self.submitted.append(pdu)
            if status is not None:
                body = MessageResponse(message_id=f"{len(self.submitted):x}" if status == Status.ROK else "")
                connection.write(Command.SUBMIT_SM_RESP, body, sequence=pdu.sequence, status=status)
        elif pdu.command == Command.ENQUIRE_LINK:
            if self.answers_enquiries:
                connection.write(Command.ENQUIRE_LINK_RESP, Nothing(), sequence=pdu.sequence)
        elif pdu.command == Command.UNBIND:
            connection.write(Command.UNBIND_RESP, Nothing(), sequence=pdu.sequence)
