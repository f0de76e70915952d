"""The credit-control server: peers connect to it and stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs

import structlog

from engine.api import Engine
from engine.words import (
    Answer,
    BadNumber,
    Code,
    LineRef,
    OpenSession,
    SessionAct,
    UnknownLine,
    granted,
)
from network.away import AWAY
from network.diameter.codec import CREDIT_CONTROL, Avp, Command, Group, Refused, Result, avp, names
from network.diameter.gy import INTERFACE, CreditControl, answer_avps, read_request, session_request
from network.diameter.peer import Peer
from runtime.metrics import Metrics
from settings import DiameterSettings

log = structlog.get_logger(__name__)

#: what the network does while no server answers (RFC 8506 §8.14), and that another one may (§8.4)
_FAILURE_HANDLING = {"terminate": 0, "continue": 1, "retry_and_terminate": 2}
_FAILOVER_SUPPORTED = 1
#: Re-Auth-Request-Type AUTHORIZE_ONLY (RFC 6733 §8.12)
_AUTHORIZE_ONLY = 0

#: refusals of a whole request; all others deny the service
_REFUSALS = {
    Code.KEY_CONFLICT: Result.UNABLE_TO_COMPLY,
    Code.KEY_EXPIRED: Result.UNABLE_TO_COMPLY,
    Code.FAILED: Result.UNABLE_TO_COMPLY,
    Code.ACCOUNT_UNKNOWN: Result.USER_UNKNOWN,
    Code.LINE_TERMINATED: Result.AUTHORIZATION_REJECTED,
}


class DiameterServer:
    """Gy for the peers in the settings."""

    def __init__(self, engine: Engine, settings: DiameterSettings, metrics: Metrics) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._state_id = int(time.time())
        self._peers: dict[str, Peer] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, *, reuse_port: bool = False) -> int:
        """Listen. Returns the port; raises ``OSError`` if it is taken."""
        settings = self._settings
        self._server = await asyncio.start_server(
            self._connected, settings.host, settings.port, reuse_port=reuse_port or None
        )
        port: int = self._server.sockets[0].getsockname()[1]
        log.info("diameter_listening", port=port, peers=sorted(settings.peers))
        return port

    async def close(self) -> None:
        """Take nobody new, say goodbye to those who are here."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(peer.disconnect() for peer in list(self._peers.values())))
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        peer = Peer(
            reader,
            writer,
            settings=self._settings,
            handler=self._credit_control,
            metrics=self._metrics,
            state_id=self._state_id,
        )
        try:
            if await peer.introduce():
                self._peers[peer.name] = peer
                log.info("diameter_peer_up", peer=peer.name)
                await peer.serve()
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            log.info("diameter_connection_ended", peer=peer.name)
        except ValueError as error:
            log.warning("diameter_out_of_step", peer=peer.name, reason=str(error))
        finally:
            if self._peers.get(peer.name) is peer:
                del self._peers[peer.name]
            peer.close()

    # -- credit control -----------------------------------------------------------------------------------------------

    async def _credit_control(self, peer: str, avps: Group) -> tuple[Result, list[Avp]]:
        """A CCR: one operation through the one door; the same request again gets the stored answer."""
        known = self._settings.peer(peer)
        asked = read_request(avps, 0 if known is None else known.rating_group)
        try:
            line = await self._line(asked)
            answer = await self._engine.post(session_request(asked, line, peer, datetime.now(UTC)))
        except AWAY:
            raise Refused(Result.TOO_BUSY, "not decided: send the same request again") from None
        result, said = _outcome(asked, answer)
        if asked.act is SessionAct.CREATE:
            said = [
                avp(names.AVP_CC_SESSION_FAILOVER, _FAILOVER_SUPPORTED),
                avp(names.AVP_CREDIT_CONTROL_FAILURE_HANDLING, _FAILURE_HANDLING[self._settings.failure_handling]),
                *said,
            ]
        return result, said

    async def _line(self, asked: CreditControl) -> LineRef:
        for identifier in asked.subscribers:
            try:
                return await self._engine.line_of(identifier)
            except (BadNumber, UnknownLine):
                continue
        if asked.subscribers:
            raise Refused(Result.USER_UNKNOWN, "no such subscriber")
        # Only the first request must say whose session it is.
        session = await self._engine.sessions.find_session(INTERFACE, asked.session_id)
        if session is None and asked.act in (SessionAct.UPDATE, SessionAct.RELEASE):
            raise Refused(Result.UNKNOWN_SESSION_ID, "no such session, and no Subscription-Id")
        if session is None:
            missing = Avp(names.AVP_SUBSCRIPTION_ID, 0, b"", Avp.avp_flag_mandatory)
            raise Refused(Result.MISSING_AVP, "Subscription-Id is missing", missing)
        return session.line

    # -- changes ------------------------------------------------------------------------------------------------------

    async def tell(self, session: OpenSession, statuses: Mapping[str, str]) -> str | None:
        """Let the network ask again at once where more is served, or nothing any more (RFC 8506 §5.5).

        That less is left it learns with its next request: what it holds was granted. Returns what is wrong, if any.
        """
        if "active" not in statuses.values() and "line" not in statuses:
            return None
        where = {name: values[0] for name, values in parse_qs(session.notify).items()}
        peer = self._peers.get(where.get("peer", ""))
        if peer is None:
            # Its connection may be with another process, or on its way: whoever is next looks again.
            return "not connected here"
        said = [
            avp(names.AVP_SESSION_ID, session.session_id),
            avp(names.AVP_DESTINATION_REALM, where.get("realm", "").encode()),
            avp(names.AVP_DESTINATION_HOST, session.node.encode()),
            avp(names.AVP_AUTH_APPLICATION_ID, CREDIT_CONTROL),
            avp(names.AVP_RE_AUTH_REQUEST_TYPE, _AUTHORIZE_ONLY),
        ]
        try:
            answer = await peer.ask(Command.RE_AUTH, CREDIT_CONTROL, said)
            result = answer.avps().needed(names.AVP_RESULT_CODE)
        except (TimeoutError, ConnectionError, Refused) as error:
            return type(error).__name__
        # A session that is over needs to hear nothing.
        return None if result // 1000 == 2 or result == Result.UNKNOWN_SESSION_ID else f"Result-Code {result}"


def _outcome(asked: CreditControl, answer: Answer) -> tuple[Result, list[Avp]]:
    if not answer.ok:
        return _REFUSALS.get(Code(answer.code), Result.END_USER_SERVICE_DENIED), []
    if asked.act is SessionAct.UPDATE and answer.details.get("ended"):
        # What it reports is charged all the same, as over Nchf.
        return Result.UNKNOWN_SESSION_ID, []
    return answer_avps(asked, granted(answer))
