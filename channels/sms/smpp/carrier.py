"""Texts over SMPP: an adapter of our own, because no library acknowledges a text after it is in the books."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from channels.smpp.arrivals import Arrivals
from channels.smpp.centre import Centre
from channels.smpp.client.words import NotSent, Throttled, Unanswered
from channels.smpp.names import Command, Status, status_name
from channels.smpp.parts import Long, Part, pack
from channels.smpp.pdu import INTERNATIONAL, MessageResponse, Pdu, ShortMessage
from channels.smpp.policy import Verdict, verdict
from channels.smpp.receipts import normal
from channels.smpp.text import Encoded, encode_text
from channels.sms.contract import CarrierError, ErrorKind, Options, Outgoing, Sent, Tools, read_options
from channels.sms.smpp.assembly import Assembly
from channels.sms.smpp.inbound import Inbound
from channels.sms.smpp.options import SmppOptions

#: types of number and numbering plans (SMPP 3.4 §5.2.5, §5.2.6)
NETWORK_SPECIFIC, ALPHANUMERIC = 3, 5
UNKNOWN_PLAN, ISDN = 0, 1
#: a number of up to so many digits is a short code
LONGEST_SHORT_CODE = 8
#: a receipt for the outcome, good or bad (SMPP 3.4 §5.2.17)
WITH_RECEIPT = 1
#: seconds that a text waits for a link that is just being bound
BIND_SECONDS: Final = 2.0
#: texts that have been sent in part, or failed once, and may be tried again
PROGRESS_LIMIT = 10_000
KINDS: Final = {
    Verdict.RETRY: ErrorKind.RETRY,
    Verdict.RETRY_ONCE: ErrorKind.RETRY,
    Verdict.THROTTLED: ErrorKind.THROTTLED,
    Verdict.PERMANENT: ErrorKind.PERMANENT,
    Verdict.REROUTE: ErrorKind.REROUTE,
    # Not taken, and nothing wrong with the text or with our account's rights.
    Verdict.REBIND: ErrorKind.RETRY,
    Verdict.STOP: ErrorKind.RETRY,
}


@dataclass(slots=True)
class _Progress:
    """How far one text has come."""

    #: parts that the centre has taken
    taken: int = 0
    #: refusals of the kind that hardly passes
    weak: int = 0


class Carrier(Centre):
    """One message centre. A text's state in the books is that of its last part: only that one asks for a receipt."""

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        """Opens nothing. Raises ``WrongOptions``."""
        self.options = read_options(SmppOptions, options)
        arrivals = Arrivals(tools.redis, tools.keyring, name)
        inbound = Inbound(
            name=name,
            options=self.options,
            arrivals=arrivals,
            assembly=Assembly(tools.redis, tools.keyring, name),
            on_incoming=tools.on_incoming,
            on_report=tools.on_report,
        )
        # Who has nobody to take what comes in must not be given any of it.
        listens = tools.on_incoming is not None and tools.on_report is not None
        super().__init__(name, self.options, arrivals, inbound.take, listens=listens)
        self._progress: OrderedDict[object, _Progress] = OrderedDict()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand over one text, in as many parts as it takes. Raises ``CarrierError``.

        Parts that the centre has taken are not sent again when the text is tried again by this process.
        """
        encoded = encode_text(
            outgoing.text,
            self.options.default_alphabet,
            latin1=self.options.latin1,
            whole=self.options.long is Long.PAYLOAD,
        )
        try:
            # From the message id, so that a text sent again has the same one and handsets put it together once.
            parts = pack(encoded.parts, self.options.long, outgoing.message_id.int & 0xFFFF)
        except ValueError:
            raise CarrierError("too_long", ErrorKind.PERMANENT) from None
        if not await self._out.bound(BIND_SECONDS):
            raise CarrierError(f"link_{self._out.state}", ErrorKind.RETRY)
        progress = self._progress.pop(outgoing.message_id, None) or _Progress()
        carrier_id = ""
        try:
            for place in range(progress.taken, len(parts)):
                last = place == len(parts) - 1
                carrier_id = await self._submit(self._body(outgoing, encoded, parts[place], receipt=last), progress)
                progress.taken += 1
        except CarrierError:
            self._keep(outgoing, progress)
            raise
        return Sent(normal(carrier_id) if carrier_id else None)

    def _keep(self, outgoing: Outgoing, progress: _Progress) -> None:
        if progress.taken or progress.weak:
            self._progress[outgoing.message_id] = progress
            while len(self._progress) > PROGRESS_LIMIT:
                self._progress.popitem(last=False)

    def _body(self, outgoing: Outgoing, encoded: Encoded, part: Part, *, receipt: bool) -> ShortMessage:
        ton, npi = _kind_of_sender(outgoing.sender)
        return ShortMessage(
            service_type=self.options.service_type,
            source_addr_ton=ton if self.options.source_ton < 0 else self.options.source_ton,
            source_addr_npi=npi if self.options.source_npi < 0 else self.options.source_npi,
            source_addr=outgoing.sender.removeprefix("+"),
            dest_addr_ton=INTERNATIONAL,
            dest_addr_npi=ISDN,
            destination_addr=outgoing.to.removeprefix("+"),
            esm_class=part.esm_class,
            validity_period=self.options.validity_period,
            registered_delivery=WITH_RECEIPT if receipt else 0,
            data_coding=encoded.data_coding,
            short_message=part.short_message,
            tlvs=part.tlvs,
        )

    async def _submit(self, body: ShortMessage, progress: _Progress) -> str:
        """One part. Returns the centre's id for it; raises ``CarrierError``."""
        try:
            answer = await self._out.request(Command.SUBMIT_SM, body)
        except Throttled as error:
            raise CarrierError("throttled", ErrorKind.THROTTLED, error.seconds) from None
        except NotSent as error:
            raise CarrierError(str(error), ErrorKind.RETRY) from None
        except Unanswered as error:
            raise CarrierError(str(error), ErrorKind.UNKNOWN) from None
        except ValueError:
            raise CarrierError("does_not_fit", ErrorKind.PERMANENT) from None
        if answer.status != Status.ROK:
            raise self._refusal(answer, progress)
        if not isinstance(answer.body, MessageResponse):  # a generic_nack that says all is well
            raise CarrierError("answer_senseless", ErrorKind.UNKNOWN)
        return answer.body.message_id

    def _refusal(self, answer: Pdu, progress: _Progress) -> CarrierError:
        meant = verdict(answer.status, self.options.verdicts)
        kind = KINDS[meant]
        if meant is Verdict.RETRY_ONCE:
            progress.weak += 1
            if progress.weak > 1:
                kind = ErrorKind.PERMANENT
        retry_after = self._out.pause if kind is ErrorKind.THROTTLED else None
        return CarrierError(status_name(answer.status), kind, retry_after)


def _kind_of_sender(sender: str) -> tuple[int, int]:
    """Type of number and numbering plan of a name, a short code or a number."""
    digits = sender.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return ALPHANUMERIC, UNKNOWN_PLAN
    if digits == sender and len(digits) <= LONGEST_SHORT_CODE:
        return NETWORK_SPECIFIC, UNKNOWN_PLAN
    return INTERNATIONAL, ISDN
