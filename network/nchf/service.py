"""The resource ``chargingdata`` and its operations (TS 32.291 §6.1.3), each one operation through the one door."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import (
    Answer,
    BadNumber,
    Code,
    LineRef,
    SessionAct,
    SessionRequest,
    UnknownLine,
    granted,
    session_key,
)
from network.endpoints import Endpoint
from network.http import BODY, CLIENT, SYSTEM_FAILURE, Problem, json_response, moment, read_json, wrong
from network.nchf import wire
from network.nchf.translate import FAILED, information, reports
from network.reference import Reference, read_reference
from runtime.keyring import Keyring

API = "/nchf-convergedcharging/v3"
ROOT = f"{API}/chargingdata"
#: who speaks, in the engine's books
INTERFACE = "nchf"
#: what a ``ChargingDataRef`` is a reference of
KIND = "charging-data"

#: forms of SUPI and GPSI that are well-formed and no line's (TS 29.571 §5.3.2): nobody here is called so
_FOREIGN_FORMS = ("nai-", "gci-", "gli-", "extid-", "extgroupid-")

_DECODER = msgspec.json.Decoder(wire.ChargingDataRequest)

#: refusals that one field is the reason of → that and what is wrong with it
_FIELDS = {
    Code.KEY_CONFLICT: ("invocationSequenceNumber", "came before with another content"),
    Code.KEY_EXPIRED: ("invocationTimeStamp", "too long ago"),
}
#: refusals of the whole request → status and cause (TS 32.291 §6.1.7.3); all others deny the service
_CAUSES = {
    Code.ACCOUNT_UNKNOWN: (404, "USER_UNKNOWN", "no such subscriber"),
    Code.LINE_TERMINATED: (403, "END_USER_REQUEST_REJECTED", "the line is closed"),
    Code.FAILED: (500, SYSTEM_FAILURE, "this request could not be booked"),
}


class ChargingData:
    """Create, update and release of charging sessions, and one-time events."""

    def __init__(self, engine: Engine, keyring: Keyring, public_url: str = "") -> None:
        """``public_url`` is where others reach us, for ``Location``; without it that is a path."""
        self._engine = engine
        self._keyring = keyring
        self._root = public_url + ROOT

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        body, answer, one = wire.ChargingDataRequest, wire.ChargingDataResponse, f"{ROOT}/{{ref}}"
        release = Endpoint("POST", f"{one}/release", "charging", self.release, "End a session", 204, None, body)
        return (
            Endpoint("POST", ROOT, "charging", self.create, "Open a session, or charge an event", 201, answer, body),
            Endpoint("POST", f"{one}/update", "charging", self.update, "Report use, ask for quota", 200, answer, body),
            release,
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata``: 201 with a ``Location``; the same request again gets the same resource and answer."""
        asked = await read_json(request, _DECODER, FAILED)
        line = await self._line(asked)
        reference = Reference(line, _session_of(asked, request[BODY]))
        answer = await self._post(request, asked, reference, _act(asked))
        headers = {"Location": f"{self._root}/{reference.text(self._keyring, KIND)}"}
        return json_response(_response(asked, answer), 201, headers)

    async def update(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata/{ref}/update``: 200 with the next quotas."""
        reference = self._reference(request)
        asked = await read_json(request, _DECODER, FAILED)
        answer = await self._post(request, asked, reference, SessionAct.UPDATE)
        if answer.details.get("ended"):
            # What it reports is charged all the same.
            raise Problem(404, FAILED, "this charging data resource was released")
        return json_response(_response(asked, answer))

    async def release(self, request: web.Request) -> web.StreamResponse:
        """``POST /chargingdata/{ref}/release``: 204; nothing is held any more."""
        reference = self._reference(request)
        asked = await read_json(request, _DECODER, FAILED)
        await self._post(request, asked, reference, SessionAct.RELEASE)
        return web.Response(status=204)

    def _reference(self, request: web.Request) -> Reference:
        reference = read_reference(request.match_info["ref"], self._keyring, KIND)
        if reference is None:
            raise Problem(404, FAILED, "no such charging data resource")
        return reference

    async def _line(self, asked: wire.ChargingDataRequest) -> LineRef:
        """By SUPI and, where that is nobody's, by the GPSI of the PDU session."""
        details = asked.pdu_session_charging_information
        user = None if details is None else details.user_information
        named = {
            "subscriberIdentifier": asked.subscriber_identifier,
            "pDUSessionChargingInformation.userInformation.servedGPSI": None if user is None else user.served_gpsi,
        }
        given = {field: name for field, name in named.items() if name is not None}
        if not given:
            raise wrong(FAILED, "subscriberIdentifier", "missing")
        for field, name in given.items():
            try:
                return await self._engine.line_of(name)
            except BadNumber as error:
                if not name.startswith(_FOREIGN_FORMS):
                    reason = f"{error.args[0]}: imsi-… or msisdn-… of this operator is meant"
                    raise wrong(FAILED, field, reason) from None
            except UnknownLine:
                continue
        raise Problem(404, "USER_UNKNOWN", "no such subscriber")

    async def _post(
        self, request: web.Request, asked: wire.ChargingDataRequest, reference: Reference, act: SessionAct
    ) -> Answer:
        name, number = str(reference.thing), _number(asked, act, request[BODY])
        operation = SessionRequest(
            account=reference.line.account,
            line_id=reference.line.line_id,
            key=session_key(INTERFACE, name, number),
            asked_at=min(moment(asked.invocation_time_stamp, FAILED, "invocationTimeStamp"), datetime.now(UTC)),
            source=f"{INTERFACE}:{request[CLIENT]}",
            act=act,
            interface=INTERFACE,
            session_id=name,
            sequence=number,
            reports=reports(asked.multiple_unit_usage),
            node=asked.nf_consumer_identification.n_f_name or "",
            notify=asked.notify_uri or "",
            called=_called(asked),
        )
        answer = await self._engine.post(operation)
        if answer.code in _FIELDS:
            raise wrong(FAILED, *_FIELDS[Code(answer.code)])
        if not answer.ok:
            raise Problem(*_CAUSES.get(Code(answer.code), (403, "END_USER_REQUEST_DENIED", answer.code)))
        return answer


def _called(asked: wire.ChargingDataRequest) -> str:
    """What charging data records (TS 32.298) call the session: its charging id."""
    details = asked.pdu_session_charging_information
    named = () if details is None else (details.s_m_fcharging_id, details.charging_id)
    return next((str(name) for name in (*named, asked.charging_id) if name is not None), "")


def _act(asked: wire.ChargingDataRequest) -> SessionAct:
    """What a create means. After the event (PEC) what was used is charged: nothing is left to refuse."""
    if not asked.one_time_event:
        return SessionAct.CREATE
    return SessionAct.RELEASE if asked.one_time_event_type == "PEC" else SessionAct.EVENT


def _session_of(asked: wire.ChargingDataRequest, body: bytes) -> UUID:
    """The name of a new session: the same for a create that is sent again (TS 32.290 §5.4.1, retransmission).

    Events carry nothing that numbers them: two in one second are told apart by all that they say.
    """
    consumer, details = asked.nf_consumer_identification, asked.pdu_session_charging_information
    parts = (
        consumer.n_f_name or consumer.n_f_fqdn or consumer.node_functionality,
        asked.subscriber_identifier,
        asked.charging_id,
        None if details is None else (details.charging_id, details.s_m_fcharging_id),
        asked.invocation_time_stamp.isoformat(),
        asked.invocation_sequence_number,
        _said(body) if asked.one_time_event else "",
    )
    return uuid5(NAMESPACE_OID, "|".join(["nchf", *map(str, parts)]))


def _number(asked: wire.ChargingDataRequest, act: SessionAct, body: bytes) -> int:
    """What tells a request of its session from the others, and is the same when it is sent again.

    Nothing comes before the create, so who numbers later ones 0 does not count (free5GC): theirs are told apart by all
    that they say, ``invocationTimeStamp`` included.
    """
    number = asked.invocation_sequence_number
    return number if number or act is SessionAct.CREATE else int(_said(body)[:15], 16)


def _said(body: bytes) -> str:
    """A digest of all that a request says, but that it is sent again. Raises ``Problem``."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # In a field that is not read: a number that nothing holds, a text that is none.
        raise wrong(FAILED, "body", f"not JSON: {error}") from None
    said.pop("retransmissionIndicator", None)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def _response(asked: wire.ChargingDataRequest, answer: Answer) -> wire.ChargingDataResponse:
    return wire.ChargingDataResponse(
        invocation_time_stamp=answer.booked_at,
        invocation_sequence_number=asked.invocation_sequence_number,
        multiple_unit_information=information(granted(answer), asked.multiple_unit_usage),
    )
