"""A link keeps one bound session with a message centre: connects, binds, binds again, obeys when told to slow down."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from channels.smpp.client.pace import Backoff, Pace
from channels.smpp.client.session import Handler, Session
from channels.smpp.client.words import Limits, NotSent, Throttled, Unanswered
from channels.smpp.names import Command, Status, status_name
from channels.smpp.pdu import Bind, Body, Pdu
from channels.smpp.policy import Verdict, verdict

log = structlog.get_logger(__name__)

#: a session that lived this many seconds was a good one: the next try to connect comes soon
STABLE_SECONDS: Final = 30.0
#: seconds that each part of a clean goodbye may take
GOODBYE_SECONDS: Final = 5.0


class Mode(StrEnum):
    """What a session is for."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"


class LinkState(StrEnum):
    """What a link is doing."""

    #: not started, or stopped by us
    IDLE = "idle"
    #: trying to connect and bind, or waiting before the next try
    CONNECTING = "connecting"
    BOUND = "bound"
    #: the centre refused our credentials: nothing happens until staff has put them right and starts again
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where and as whom to bind, and how patiently."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    #: 0x34 or 0x50
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    #: None: plain TCP
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    #: seconds that a connection, and then the answer to the bind, may take
    connect_seconds: float = 10.0
    #: seconds before the second try; doubled up to the longest
    backoff_first: float = 1.0
    backoff_longest: float = 60.0
    #: seconds of silence after "too fast"; doubled up to the longest
    throttle_first: float = 1.0
    throttle_longest: float = 60.0
    #: this centre's own meanings of statuses
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)


class BindRefused(Exception):
    """The centre answered the bind with an error. ``args[0]`` is the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Link:
    """One session after another with one message centre, until it is stopped."""

    def __init__(self, name: str, account: Account, mode: Mode, handler: Handler) -> None:
        """``name``: for the log. ``handler`` takes what the centre delivers; see ``session.Delivery``."""
        self._log = log.bind(smsc=name, mode=str(mode))
        self._account = account
        self._mode = mode
        self._handler = handler
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._bound = asyncio.Event()
        self._had_bound = False
        self._backoff = Backoff(account.backoff_first, account.backoff_longest)
        self._pace = Pace(account.throttle_first, account.throttle_longest, lambda: asyncio.get_running_loop().time())
        self.state = LinkState.IDLE

    def start(self) -> None:
        """Begin to connect, in the background."""
        if self._task is None or self._task.done():
            self.state = LinkState.CONNECTING
            self._task = asyncio.create_task(self._keep())

    async def stop(self, seconds: float = GOODBYE_SECONDS) -> None:
        """Let what is under way end, unbind, hang up."""
        task, self._task = self._task, None
        if self._session is not None:
            await self._session.unbind(seconds)
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.state = LinkState.IDLE

    async def bound(self, seconds: float) -> bool:
        """Wait until there is a bound session, at most so many seconds. Whether there is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bound.wait()
        return self._bound.is_set()

    async def request(self, command: int, body: Body) -> Pdu:
        """Send a request over the session there is; the answer may have any status.

        Raises ``Throttled`` or another ``NotSent`` (no effect), ``Unanswered`` (effect unknown), ``ValueError``.
        """
        session = self._session
        if session is None:
            raise NotSent("not_bound")
        answer = await session.request(command, body, self._admit)
        self._learn(session, answer)
        return answer

    def _admit(self) -> None:
        if left := self._pace.left():
            raise Throttled(left)

    def _learn(self, session: Session, answer: Pdu) -> None:
        if answer.status == Status.ROK:
            self._pace.served()
            return
        meant = verdict(answer.status, self._account.verdicts)
        if meant is Verdict.THROTTLED:
            seconds = self._pace.throttled()
            self._log.info("smsc_throttles", status=status_name(answer.status), pause=round(seconds, 2))
        elif meant in (Verdict.REBIND, Verdict.STOP):
            # It no longer takes us for bound, or for whom we are; binding again will tell which.
            self._log.warning("smsc_session_refused", status=status_name(answer.status))
            session.hang_up("session_refused")

    @property
    def pause(self) -> float:
        """Seconds of silence that the centre still wants."""
        return self._pace.left()

    # --- keeping it ---

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._one_session()
            except BindRefused as refusal:
                if self._is_final(refusal.status):
                    self.state = LinkState.REFUSED
                    self._log.error("smsc_refuses_credentials", status=status_name(refusal.status))
                    return
                self._log.warning("smsc_bind_refused", status=status_name(refusal.status))
            except ValueError as error:
                self.state = LinkState.REFUSED
                self._log.error("smsc_account_unusable", reason=str(error))
                return
            except (OSError, TimeoutError, NotSent, Unanswered) as error:
                self._log.warning("smsc_unreachable", error=type(error).__name__)
            if loop.time() - began >= STABLE_SECONDS:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next())

    def _is_final(self, status: int) -> bool:
        """Whether to give up. ``RBINDFAIL`` also says "too many sessions": final only if it never worked."""
        if verdict(status, self._account.verdicts) is not Verdict.STOP:
            return False
        return status != Status.RBINDFAIL or not self._had_bound

    async def _one_session(self) -> None:
        """Connect, bind, and stay until the session is lost."""
        session = await self._connect()
        try:
            await self._bind(session)
            self._session = session
            self._had_bound = True
            self.state = LinkState.BOUND
            self._bound.set()
            self._log.info("smsc_bound")
            self._log.warning("smsc_lost", reason=await asyncio.shield(session.lost))
        finally:
            self._bound.clear()
            self._session = None
            self.state = LinkState.CONNECTING
            await session.close("closed")

    async def _connect(self) -> Session:
        account = self._account
        async with asyncio.timeout(account.connect_seconds):
            reader, writer = await asyncio.open_connection(account.host, account.port, ssl=account.tls)
        session = Session(reader, writer, account.limits, self._handler)
        session.open()
        return session

    async def _bind(self, session: Session) -> None:
        account = self._account
        body = Bind(
            system_id=account.system_id,
            password=account.password,
            system_type=account.system_type,
            interface_version=account.interface_version,
            addr_ton=account.addr_ton,
            addr_npi=account.addr_npi,
            address_range=account.address_range,
        )
        answer = await session.request(_BINDS[self._mode], body)
        if answer.status != Status.ROK:
            raise BindRefused(answer.status)


_BINDS: Final = {
    Mode.TRANSMITTER: Command.BIND_TRANSMITTER,
    Mode.RECEIVER: Command.BIND_RECEIVER,
    Mode.TRANSCEIVER: Command.BIND_TRANSCEIVER,
}
