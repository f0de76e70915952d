"""One USSD centre over SMPP: each message is a turn, acknowledged once its answer is committed, and answered once.

The order is that of SMPP 5.0's dialogue: ``deliver_sm`` (what was dialled), our ``deliver_sm_resp``, our ``submit_sm``
with the screen, the centre's ``submit_sm_resp``; then the next ``deliver_sm`` with what was typed. A ``deliver_sm`` has
no id, so ``channels.smpp.arrivals`` tells a repeat from the same input typed again.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog
from redis.exceptions import RedisError

from channels.sessions import GRACE_SECONDS
from channels.smpp.arrivals import Arrival, Arrivals
from channels.smpp.centre import Centre
from channels.smpp.client.session import Delivery
from channels.smpp.client.words import NotSent, Throttled, Unanswered
from channels.smpp.names import Command, Status, Tag, status_name
from channels.smpp.pdu import DataMessage, ShortMessage, Tlv
from channels.smpp.policy import Verdict, verdict
from channels.smpp.receipts import is_receipt
from channels.smpp.text import Unreadable
from channels.turn import Event, Malformed, Turn
from channels.ussd.outbound import NotPushed, Opening, Tools
from channels.ussd.smpp.dialects import Reference
from channels.ussd.smpp.options import UssdSmppOptions
from channels.ussd.smpp.register import Known, Register
from channels.ussd.smpp.wire import Heard, answer, hear, opening, session_info
from configuration.options import Options, read_options

log = structlog.get_logger(__name__)

#: verdicts after which the same screen is sent again while there is time
AGAIN: Final = frozenset({Verdict.RETRY, Verdict.RETRY_ONCE, Verdict.THROTTLED, Verdict.REBIND})
#: seconds after which the same octets are no repeat, even of a message that we never acknowledged: its dialogue is
#: over, and whoever dials the same again begins a session of their own
REPEAT_SECONDS: Final = 60
#: seconds between two tries
PAUSE_SECONDS: Final = 0.2


class Outbound(Centre):
    """One centre: listened to and answered."""

    session_seconds = 180
    outcomes = frozenset({"aborted"})
    pushes = True

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        """Opens nothing. Raises ``WrongOptions``."""
        self.options = read_options(UssdSmppOptions, options)
        arrivals = Arrivals(tools.redis, tools.keyring, f"ussd|{name}", REPEAT_SECONDS)
        super().__init__(name, self.options, arrivals, self._take)
        self._name = name
        self._tools = tools
        self._dialect = self.options.spoken()
        self._register = Register(tools.redis, tools.keyring, name, self.session_seconds + GRACE_SECONDS)

    # --- what people begin ---

    async def _take(self, delivery: Delivery) -> None:
        """One message of a dialogue. Whatever is raised makes the centre send it again."""
        until = asyncio.get_running_loop().time() + self._tools.deadline_seconds
        body = delivery.pdu.body
        if not isinstance(body, ShortMessage | DataMessage):
            raise TypeError(type(body).__name__)
        if is_receipt(body):
            return
        try:
            heard = hear(body, self._dialect, self.options.default_alphabet, self._tools.service_code)
        except (Malformed, Unreadable) as error:
            # It will not become better by being sent again.
            log.info("ussd_message_refused", gateway=self._name, reason=" ".join(map(str, error.args)))
            delivery.answer(Status.RX_P_APPN)
            return
        if heard.event is None:
            return
        arrival = await self._arrivals.begin(*heard.octets)
        session = await self._session(heard, arrival)
        reply = await self._tools.turn(self._turn(heard, arrival, session))
        if not delivery.answer(Status.ROK):
            # The link is gone, so the centre does not know: it sends this again, and gets the same answer then.
            return
        await self._arrivals.acknowledged(arrival, delivery.session)
        if heard.event is Event.CLOSE:
            self._tools.ended("aborted")
            return
        operation = self._dialect.asks
        if reply.ends:
            operation = self._dialect.notifies if session.pushed else self._dialect.finishes
        screen = answer(body, reply.text, operation, self.options, ends=reply.ends)
        await self._say(arrival.message_id, screen, until)

    async def _session(self, heard: Heard, arrival: Arrival) -> Known:
        """The session that a message belongs to: a new one, the one under way, or none that anybody knows."""
        if heard.event is not Event.NEW:
            # Without one, the message's own id: no session has that, so the person is told to dial again.
            return await self._register.find(heard.msisdn, heard.reference) or Known(arrival.message_id, pushed=False)
        session = Known(arrival.message_id, pushed=False)
        await self._register.begin(heard.msisdn, heard.reference, session)
        return session

    def _turn(self, heard: Heard, arrival: Arrival, session: Known) -> Turn:
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=session.session_id,
            msisdn=heard.msisdn,
            text=heard.text,
            event=heard.event,
            service_code=heard.service_code,
            sequence=arrival.message_id,
        )

    async def _say(self, message_id: str, screen: ShortMessage, until: float) -> None:
        """Send the answer to a message, once, whoever else has the same message at hand."""
        if not await self._claimed(message_id):
            return
        refused = await self._submit(screen, until)
        if refused is not None:
            # Acknowledged, so not sent again. What was done is in the books: who dials again is told.
            log.warning("ussd_answer_undelivered", gateway=self._name, reason=refused)
        try:
            await (self._register.said(message_id) if refused is None else self._register.unsaid(message_id))
        except (RedisError, OSError) as error:
            log.warning("ussd_answer_unmarked", gateway=self._name, error=type(error).__name__)

    async def _claimed(self, message_id: str) -> bool:
        try:
            return await self._register.claim(message_id)
        except (RedisError, OSError) as error:
            # A screen twice is better than none.
            log.warning("ussd_answer_unmarked", gateway=self._name, error=type(error).__name__)
            return True

    async def _submit(self, screen: ShortMessage, until: float) -> str | None:
        """Send a screen until it is taken, refused for good, or of no use any more. None, or why it was not taken."""
        loop = asyncio.get_running_loop()
        while True:
            pause = PAUSE_SECONDS
            try:
                said = await self._out.request(Command.SUBMIT_SM, screen)
            except Throttled as error:
                reason, pause = "throttled", error.seconds
            except NotSent as error:
                reason = str(error)
            except Unanswered as error:
                return f"unanswered_{error}"
            except ValueError:
                return "does_not_fit"
            else:
                if said.status == Status.ROK:
                    return None
                reason = status_name(said.status)
                if verdict(said.status, self.options.verdicts) not in AGAIN:
                    return reason
            if loop.time() + pause >= until:
                return reason
            await asyncio.sleep(pause)

    # --- what we begin ---

    async def push(self, opening_: Opening) -> None:
        """Show the first screen of a session of ours by a request, or tell something by a notify."""
        reply, msisdn = opening_.reply, opening_.msisdn
        until = asyncio.get_running_loop().time() + self._tools.deadline_seconds
        if not await self._out.bound(self._tools.deadline_seconds):
            raise NotPushed(f"link_{self._out.state}")
        reference, marks = self._marks(ends=reply.ends)
        try:
            await self._register.begin(msisdn, reference, Known(opening_.session_id, pushed=True))
        except (RedisError, OSError) as error:
            raise NotPushed(type(error).__name__) from None
        operation = self._dialect.notifies if reply.ends else self._dialect.asks
        tlvs = [Tlv(Tag.USSD_SERVICE_OP, bytes([operation])), *marks]
        screen = opening(msisdn, reply.text, tlvs, self.options, self._tools.service_code)
        refused = await self._submit(screen, until)
        if refused is not None:
            raise NotPushed(refused, unknown=refused.startswith("unanswered"))

    def _marks(self, *, ends: bool) -> tuple[bytes, list[Tlv]]:
        """A session number of ours: how it is looked up, and how it is written.

        Drawn at random: a person has one session at a time, so it only has to differ from their last one.
        """
        match self._dialect.reference:
            case Reference.MESSAGE:
                drawn = secrets.token_bytes(2)
                return drawn, [Tlv(Tag.USER_MESSAGE_REFERENCE, drawn)]
            case Reference.MSISDN:
                return b"", []
            case Reference.INFO:
                info = bytes([secrets.randbelow(256), secrets.randbelow(128) << 1])
                return info, [session_info(info, ends=ends)]
            case Reference.NUMBER:
                info = bytes([secrets.randbelow(256), 0])
                return info[:1], [session_info(info, ends=ends)]
