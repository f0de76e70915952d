"""One connection of a Diameter peer, from its capabilities to its goodbye (RFC 6733 §5, RFC 3539)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from itertools import count

import structlog

from network.diameter.codec import (
    CREDIT_CONTROL,
    RELAY,
    SHORT,
    VENDOR_3GPP,
    Avp,
    Command,
    Group,
    Message,
    Refused,
    Result,
    answer_header,
    avp,
    each,
    length_of,
    names,
    read_message,
    request_header,
    write_message,
)
from runtime.metrics import Metrics
from settings import DiameterSettings

log = structlog.get_logger(__name__)

#: seconds that a peer may take to say who it is
INTRODUCTION = 10.0
#: requests of one peer under way; it is not read from while there are so many
WINDOW = 1000
#: seconds to wait for the answer to a request of ours
PATIENCE = 5.0
PRODUCT = "Rasid"
#: Disconnect-Cause REBOOTING (RFC 6733 §5.4.3): it may come back
_REBOOTING = 0

#: what serves credit control: the peer's name and the request → result and AVPs of the answer; raises ``Refused``
CreditControlHandler = Callable[[str, Group], Awaitable[tuple[Result, list[Avp]]]]


class Peer:
    """A connection that a peer opened to us."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        settings: DiameterSettings,
        handler: CreditControlHandler,
        metrics: Metrics,
        state_id: int,
    ) -> None:
        """``state_id`` is our Origin-State-Id (RFC 6733 §8.16)."""
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._handler = handler
        self._requests = metrics.diameter_requests
        # Every message of ours says who we are (RFC 6733 §6.3, §6.4).
        self._origin = [
            avp(names.AVP_ORIGIN_HOST, settings.origin_host.encode()),
            avp(names.AVP_ORIGIN_REALM, settings.origin_realm.encode()),
        ]
        self._state_id = state_id
        self._window = asyncio.Semaphore(WINDOW)
        self._under_way: set[asyncio.Task[None]] = set()
        self._asked: dict[int, asyncio.Future[Message]] = {}
        # The end-to-end identifier must not come again within minutes, after a restart neither (RFC 6733 §3).
        self._next = count(state_id << 20 & 0xFFF00000)
        self._watching = False
        self._head = b""
        #: the peer's Origin-Host, empty until it has said it
        self.name = ""

    # -- reading ------------------------------------------------------------------------------------------------------

    async def introduce(self) -> bool:
        """Hear who it is; False if it may not stay. Raises what reading raises."""
        async with asyncio.timeout(INTRODUCTION):
            message = await self._read()
        if message.code != Command.CAPABILITIES_EXCHANGE or not message.request:
            return False
        try:
            avps = message.avps()
            name = _text(avps.needed(names.AVP_ORIGIN_HOST))
            avps.needed(names.AVP_ORIGIN_REALM)
            result = self._welcome(name, avps)
        except Refused as refusal:
            self._send_answer(message, refusal.result, _failure(refusal))
            return False
        if result is Result.SUCCESS:
            self.name = name
        host = self._writer.get_extra_info("sockname")[0].partition("%")[0]
        self._send_answer(
            message,
            result,
            [
                avp(names.AVP_HOST_IP_ADDRESS, str(ipaddress.ip_address(host))),
                avp(names.AVP_VENDOR_ID, 0),
                avp(names.AVP_PRODUCT_NAME, PRODUCT),
                avp(names.AVP_ORIGIN_STATE_ID, self._state_id),
                avp(names.AVP_SUPPORTED_VENDOR_ID, VENDOR_3GPP),
                avp(names.AVP_AUTH_APPLICATION_ID, CREDIT_CONTROL),
            ],
        )
        return bool(self.name)

    def _welcome(self, name: str, avps: Group) -> Result:
        known = self._settings.peer(name)
        address = ipaddress.ip_address(self._writer.get_extra_info("peername")[0].partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        networks = () if known is None else [ipaddress.ip_network(str(one)) for one in known.addresses]
        if known is None or (networks and not any((mapped or address) in network for network in networks)):
            log.warning("diameter_unknown_peer", peer=name)
            return Result.UNKNOWN_PEER
        groups = [group for _, group in avps.groups(names.AVP_VENDOR_SPECIFIC_APPLICATION_ID)]
        offered = {one.payload for group in (avps, *groups) for one in group.all(names.AVP_AUTH_APPLICATION_ID)}
        common = {application.to_bytes(4) for application in (CREDIT_CONTROL, RELAY)}
        return Result.SUCCESS if offered & common else Result.NO_COMMON_APPLICATION

    async def serve(self) -> None:
        """Answer until the peer or the connection goes. Raises what reading raises."""
        while True:
            try:
                async with asyncio.timeout(self._settings.watchdog_seconds):
                    message = await self._read()
            except TimeoutError:
                if self._watching:
                    log.warning("diameter_peer_silent", peer=self.name)
                    return
                self._watch()
                continue
            self._watching = False
            if not message.request:
                self._take_answer(message)
            elif message.code == Command.DISCONNECT_PEER:
                await self.finish()
                self._send_answer(message, Result.SUCCESS, [])
                return
            else:
                await self._begin(message)

    async def _read(self) -> Message:
        # Waiting for it may be given up in its middle: what has been read by then is gone on with.
        self._head = self._head or await self._reader.readexactly(4)
        rest = await self._reader.readexactly(length_of(self._head) - 4)
        head, self._head = self._head, b""
        return read_message(head + rest)

    def _watch(self) -> None:
        """RFC 3539 §3.4.1: ask whether it is there; the second silence ends the connection."""
        self._watching = True
        self._send_request(Command.DEVICE_WATCHDOG, 0, [avp(names.AVP_ORIGIN_STATE_ID, self._state_id)])

    # -- requests of the peer -----------------------------------------------------------------------------------------

    async def _begin(self, message: Message) -> None:
        await self._window.acquire()
        # Who does not read what it is answered is not read from either.
        await self._writer.drain()
        task = asyncio.create_task(self._answer(message))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._window.release()
        if not task.cancelled() and task.exception() is not None:
            # The peer went while it was served: it asks again, by another connection, and gets the stored answer.
            log.info("diameter_not_answered", peer=self.name)

    async def _answer(self, message: Message) -> None:
        try:
            result, said = await self._served(message)
        except Refused as refusal:
            log.info("diameter_refused", peer=self.name, result=int(refusal.result), reason=str(refusal))
            result, said = refusal.result, _failure(refusal)
        except Exception:
            log.exception("diameter_failed", peer=self.name)
            result, said = Result.UNABLE_TO_COMPLY, []
        self._send_answer(message, result, said)

    async def _served(self, message: Message) -> tuple[Result, list[Avp]]:
        if message.code == Command.DEVICE_WATCHDOG:
            return Result.SUCCESS, [avp(names.AVP_ORIGIN_STATE_ID, self._state_id)]
        if message.code != Command.CREDIT_CONTROL:
            raise Refused(Result.COMMAND_UNSUPPORTED, f"command {message.code} is not served")
        if message.application != CREDIT_CONTROL:
            raise Refused(Result.APPLICATION_UNSUPPORTED, f"application {message.application} is not served")
        avps = message.avps()
        result, said = await self._handler(self.name, avps)
        return result, said

    def _send_answer(self, message: Message, result: Result, said: Iterable[Avp]) -> None:
        head = answer_header(message.header, error=result.protocol_error)
        echoed = _echoed(message)
        about: list[Avp] = []
        if message.code == Command.CREDIT_CONTROL:
            # Every CCA holds these, one that refuses as well (RFC 8506 §3.2): strict peers drop it otherwise.
            about = [avp(names.AVP_AUTH_APPLICATION_ID, CREDIT_CONTROL), *echoed[names.AVP_CC_REQUEST_TYPE]]
            about += echoed[names.AVP_CC_REQUEST_NUMBER]
        told = [avp(names.AVP_RESULT_CODE, int(result)), *self._origin, *about, *said]
        whole = [*echoed[names.AVP_SESSION_ID], *told, *echoed[names.AVP_PROXY_INFO]]
        self._write(write_message(head, whole))
        command = SHORT.get(Command(message.code), "") if message.code in SHORT else "other"
        self._requests.labels(self.name or "unknown", command, str(int(result))).inc()

    # -- requests of ours ---------------------------------------------------------------------------------------------

    async def ask(self, command: Command, application: int, said: Iterable[Avp]) -> Message:
        """Ask the peer, and wait for its answer. Raises ``TimeoutError`` and ``ConnectionError``."""
        number = self._send_request(command, application, said)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        finally:
            del self._asked[number]

    def _send_request(self, command: Command, application: int, said: Iterable[Avp]) -> int:
        number = next(self._next) & 0xFFFFFFFF
        # The Session-Id comes first (RFC 6733 §8.8).
        body = sorted([*self._origin, *said], key=lambda one: one.code != names.AVP_SESSION_ID)
        self._write(write_message(request_header(command, application, number, number), body))
        return number

    def _take_answer(self, message: Message) -> None:
        waiting = self._asked.get(int(message.header.hop_by_hop_identifier))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Answer what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=PATIENCE)

    async def disconnect(self) -> None:
        """Say goodbye: the peer goes to another server, or comes back later (RFC 6733 §5.4)."""
        await self.finish()
        try:
            await self.ask(Command.DISCONNECT_PEER, 0, [avp(names.AVP_DISCONNECT_CAUSE, _REBOOTING)])
        except (TimeoutError, ConnectionError):
            log.info("diameter_no_goodbye", peer=self.name)
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the peer is gone"))
        for task in self._under_way:
            task.cancel()
        self._writer.close()

    def _write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the peer is gone")
        self._writer.write(data)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _failure(refusal: Refused) -> list[Avp]:
    """RFC 6733 §7.3 and §7.5: what is wrong, for people and for machines."""
    said = [avp(names.AVP_ERROR_MESSAGE, str(refusal))]
    if refusal.failed is not None:
        said.append(avp(names.AVP_FAILED_AVP, [refusal.failed]))
    return said


def _echoed(message: Message) -> dict[int, list[Avp]]:
    """What an answer repeats of its request: what names it, and what proxies left on the way (RFC 6733 §6.2)."""
    wanted = (names.AVP_SESSION_ID, names.AVP_CC_REQUEST_TYPE, names.AVP_CC_REQUEST_NUMBER, names.AVP_PROXY_INFO)
    echoed: dict[int, list[Avp]] = {code: [] for code in wanted}
    try:
        # As far as it can be read: whoever is on the way must recognise the answer to a request that is broken as well.
        for one in each(message.raw, known_only=False):
            if one.code in wanted and not one.vendor_id:
                echoed[one.code].append(one)
    except Refused:
        pass
    return echoed
