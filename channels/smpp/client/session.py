"""One bound connection to a message centre: requests in a window, answers by sequence number, and what it sends us.

Source: SMPP 3.4 §2 (sessions, windows, timers), §3.1 and §4.11 (``enquire_link``). The loop that reads never waits for
anything: what the centre sends is handled by tasks of their own, so answers to our requests keep coming meanwhile.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from channels.smpp.client.words import Limits, NotSent, Unanswered
from channels.smpp.codec import BadPdu, Framer, decode, encode
from channels.smpp.names import RESPONSE, Command, Status, command_name, status_name
from channels.smpp.pdu import BODIES, Body, MessageResponse, Nothing, Pdu

log = structlog.get_logger(__name__)

READ_SIZE: Final = 65_536
LAST_SEQUENCE: Final = 0x7FFFFFFF
#: what the centre may ask of us, apart from what the session answers itself
DELIVERIES: Final = frozenset([Command.DELIVER_SM, Command.DATA_SM])


class Delivery:
    """A ``deliver_sm`` or ``data_sm`` to be answered: by ``answer``, or by the session once the handler is through."""

    def __init__(self, session: Session, pdu: Pdu) -> None:
        self.session = session
        self.pdu = pdu
        self.answered: int | None = None

    def answer(self, status: int = Status.ROK) -> bool:
        """Answer now, once. False where the link is gone: then the centre sends it all again."""
        if self.answered is None:
            self.answered = status
            return self.session.respond(self.pdu, status)
        return False


Handler = Callable[[Delivery], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    """A request that has left."""

    expected: int
    future: asyncio.Future[Pdu] = field(repr=False)


class Session:
    """One connection. ``lost`` is done, with the reason as its result, once nothing can be sent or read any more."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, limits: Limits, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._handler = handler
        self._window = asyncio.Semaphore(limits.window)
        self._slots = asyncio.Semaphore(limits.handlers)
        self._waiting: dict[int, _Waiting] = {}
        self._sequence = 0
        self._loop = asyncio.get_running_loop()
        #: when anything last came, on the loop's clock
        self.heard = self._loop.time()
        self._serving: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False
        self.lost: asyncio.Future[str] = self._loop.create_future()

    def open(self) -> None:
        """Begin to read, and to watch for silence."""
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    # --- what we ask ---

    async def request(self, command: int, body: Body, admit: Callable[[], None] | None = None) -> Pdu:
        """Send a request and wait for its answer, whatever status that has.

        Waits for room in the window first; ``admit`` is called after that and may still raise. Raises ``NotSent`` or
        ``Unanswered``; ``ValueError`` for a body that does not fit its fields.
        """
        async with self._window:
            if self._leaving:
                raise NotSent("unbinding")
            if admit is not None:
                admit()
            return await self._exchange(command, body, self._limits.answer_seconds)

    async def _exchange(self, command: int, body: Body, seconds: float) -> Pdu:
        if self.lost.done():
            raise NotSent(self.lost.result())
        sequence = self._next_sequence()
        frame = encode(command, body, sequence=sequence)
        future: asyncio.Future[Pdu] = self._loop.create_future()
        self._waiting[sequence] = _Waiting(command | RESPONSE, future)
        try:
            # No drain: the window bounds what can pile up in the transport.
            self._writer.write(frame)
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unanswered("no_answer") from None
        finally:
            self._waiting.pop(sequence, None)

    def _next_sequence(self) -> int:
        """SMPP 3.4 §5.1.4: 1 to 0x7FFFFFFF, and none that is still waiting after a turn-around."""
        while True:
            self._sequence = self._sequence % LAST_SEQUENCE + 1
            if self._sequence not in self._waiting:
                return self._sequence

    async def unbind(self, seconds: float) -> None:
        """Take nothing new, let what is under way end, say goodbye, hang up; ``seconds`` for each of the three."""
        self._leaving = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (self._waiting or self._serving) and not self.lost.done():
                    ending: list[asyncio.Future[Any]] = [one.future for one in self._waiting.values()]
                    await asyncio.wait([self.lost, *ending, *self._serving], return_when=asyncio.FIRST_COMPLETED)
                    # Who waits for an answer takes it off the list in its own turn of the loop.
                    await asyncio.sleep(0)
        with suppress(NotSent, Unanswered):
            await self._exchange(Command.UNBIND, Nothing(), seconds)
        await self.close("unbound", seconds)

    def hang_up(self, reason: str) -> None:
        """Give this connection up at once."""
        self._lose(reason)

    async def close(self, reason: str, seconds: float = 5.0) -> None:
        """Hang up. Deliveries being handled are let finish for ``seconds``; the centre repeats what went unanswered."""
        self._lose(reason)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            async with asyncio.timeout(seconds):
                await self._writer.wait_closed()
        except TimeoutError:
            # A peer that reads nothing would keep what was written for ever.
            self._writer.transport.abort()
        except OSError:
            pass

    # --- what we are told ---

    async def _read(self) -> None:
        framer = Framer()
        reason = "closed_by_peer"
        try:
            while data := await self._reader.read(READ_SIZE):
                self.heard = self._loop.time()
                for frame in framer.feed(data):
                    self._take(frame)
        except BadPdu as error:
            log.warning("smpp_stream_broken", reason=error.reason)
            self._write(encode(Command.GENERIC_NACK, Nothing(), sequence=0, status=error.status))
            reason = "stream_broken"
        except OSError as error:
            reason = type(error).__name__
        self._lose(reason)

    def _take(self, frame: bytes) -> None:
        try:
            pdu = decode(frame)
        except BadPdu as error:
            self._take_bad(frame, error)
            return
        if pdu.command & RESPONSE:
            self._take_response(pdu)
        elif pdu.command in DELIVERIES:
            self._take_delivery(pdu)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.respond(pdu, Status.ROK)
        elif pdu.command == Command.UNBIND:
            self.respond(pdu, Status.ROK)
            self._lose("unbound_by_peer")
        elif pdu.command not in (Command.ALERT_NOTIFICATION, Command.OUTBIND):  # those two have no answer
            log.info("smpp_command_refused", command=command_name(pdu.command))
            self._nack(pdu.sequence, Status.RINVCMDID)

    def _take_bad(self, frame: bytes, error: BadPdu) -> None:
        """A PDU of a good length whose inside is broken: the stream goes on, and the sender is told."""
        command, sequence = int.from_bytes(frame[4:8]), int.from_bytes(frame[12:16])
        log.warning("smpp_pdu_broken", command=command_name(command), reason=error.reason)
        if not command & RESPONSE:
            self._write(encode(command | RESPONSE, _empty(command), sequence=sequence, status=error.status))
            return
        waiting = self._waiting.get(sequence)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_exception(Unanswered("broken_answer"))

    def _take_response(self, pdu: Pdu) -> None:
        waiting = self._waiting.get(pdu.sequence)
        if waiting is None or pdu.command not in (waiting.expected, Command.GENERIC_NACK):
            # Too late, or the answer to nothing.
            log.info("smpp_answer_unexpected", command=command_name(pdu.command), status=status_name(pdu.status))
            return
        if not waiting.future.done():
            waiting.future.set_result(pdu)

    def _take_delivery(self, pdu: Pdu) -> None:
        if self._leaving or len(self._serving) >= self._limits.handlers + self._limits.queue:
            # Not taken, so not lost: the centre keeps it and sends it again.
            self.respond(pdu, Status.RX_T_APPN if self._leaving else Status.RMSGQFUL)
            return
        task = asyncio.create_task(self._serve(Delivery(self, pdu)))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, delivery: Delivery) -> None:
        """Let the handler take a delivery; a handler that fails has not, and the centre is to send it again."""
        async with self._slots:
            try:
                await self._handler(delivery)
            except Exception as error:  # noqa: BLE001 - whatever it was, the delivery is not taken
                # Without a traceback: its locals and messages may quote what a person wrote.
                log.error("smpp_delivery_failed", error=type(error).__name__)  # noqa: TRY400
                delivery.answer(Status.RX_T_APPN)
            else:
                delivery.answer(Status.ROK)

    def respond(self, pdu: Pdu, status: int) -> bool:
        """Answer a request of the centre's. False where the link is gone."""
        return self._write(encode(pdu.command | RESPONSE, _empty(pdu.command), sequence=pdu.sequence, status=status))

    def _nack(self, sequence: int, status: int) -> None:
        self._write(encode(Command.GENERIC_NACK, Nothing(), sequence=sequence, status=status))

    def _write(self, frame: bytes) -> bool:
        if self.lost.done() or self._writer.is_closing():
            return False
        self._writer.write(frame)
        return True

    # --- life and death ---

    async def _watch(self) -> None:
        """Ask for a sign of life after silence; hang up when none comes."""
        limits = self._limits
        while not self.lost.done():
            quiet = self._loop.time() - self.heard
            if quiet < limits.enquire_seconds:
                await asyncio.sleep(limits.enquire_seconds - quiet)
                continue
            try:
                await self._exchange(Command.ENQUIRE_LINK, Nothing(), limits.enquire_answer_seconds)
            except Unanswered:
                self._lose("enquire_link_unanswered")
            except NotSent:
                return

    def _lose(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(Unanswered(reason))
        self._writer.close()


def _empty(command: int) -> Body:
    """The body of our answer to a command: an empty id for messages, nothing for all else."""
    return MessageResponse() if BODIES.get(command | RESPONSE) is MessageResponse else Nothing()
