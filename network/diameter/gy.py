"""Between credit control (RFC 8506, TS 32.299 §7) and the engine's words. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from engine.words import (
    FinalUnit,
    GroupAnswer,
    GroupReport,
    LineRef,
    ResultCode,
    SessionAct,
    SessionRequest,
    Unit,
    Used,
)
from engine.words.sessions import session_key
from network.diameter.codec import VENDOR_3GPP, Avp, Group, Refused, Result, avp, names
from network.groups import asked_twice, merged

#: who speaks, in the engine's books
INTERFACE = "diameter"
#: a clock that is further off than this is not believed
BELIEVED = timedelta(days=1)
#: seconds from 1900, where Diameter's time begins, to 1970 (RFC 6733 §4.3.1)
EPOCH = 2_208_988_800

#: rating groups and amounts above this are nobody's; sums of many such amounts are still what the books hold
LARGEST_GROUP, LARGEST_AMOUNT = 2**32 - 1, 2**50

_ACTS = {1: SessionAct.CREATE, 2: SessionAct.UPDATE, 3: SessionAct.RELEASE, 4: SessionAct.EVENT}
#: Subscription-Id-Type (RFC 8506 §8.47) → what the engine calls it
_SUBSCRIPTIONS = {0: "msisdn", 1: "imsi"}
_DIRECT_DEBITING = 0
#: Reporting-Reason (TS 32.299 §7.2.176): the service ended, so no quota is wanted
_FINAL = 2

_RESULTS = {
    ResultCode.SUCCESS: Result.SUCCESS,
    ResultCode.END_USER_SERVICE_DENIED: Result.END_USER_SERVICE_DENIED,
    ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE: Result.CREDIT_CONTROL_NOT_APPLICABLE,
    ResultCode.QUOTA_LIMIT_REACHED: Result.CREDIT_LIMIT_REACHED,
    ResultCode.RATING_FAILED: Result.RATING_FAILED,
}
_ACTIONS = {FinalUnit.TERMINATE: 0, FinalUnit.REDIRECT: 1, FinalUnit.RESTRICT_ACCESS: 2}
#: Redirect-Address-Type: URL (RFC 8506 §8.38)
_URL = 2
_THRESHOLDS = {
    Unit.OCTETS: names.AVP_TGPP_VOLUME_QUOTA_THRESHOLD,
    Unit.SECONDS: names.AVP_TGPP_TIME_QUOTA_THRESHOLD,
    Unit.MESSAGES: names.AVP_TGPP_UNIT_QUOTA_THRESHOLD,
}
_AMOUNTS = {
    Unit.OCTETS: names.AVP_CC_TOTAL_OCTETS,
    Unit.SECONDS: names.AVP_CC_TIME,
    Unit.MESSAGES: names.AVP_CC_SERVICE_SPECIFIC_UNITS,
}
_OCTETS = (names.AVP_CC_TOTAL_OCTETS, names.AVP_CC_INPUT_OCTETS, names.AVP_CC_OUTPUT_OCTETS)


class Service(NamedTuple):
    """One service of a request, and how the answer names it.

    ``named`` are the AVPs that come back in its Multiple-Services-Credit-Control; None where the request has none and
    speaks of a single service (RFC 8506 §5.2).
    """

    report: GroupReport
    named: Sequence[Avp] | None


class CreditControl(NamedTuple):
    """A Credit-Control-Request."""

    session_id: str
    act: SessionAct
    number: int
    origin_host: str
    origin_realm: str
    #: as ``engine.line_of`` takes it
    subscribers: tuple[str, ...]
    services: tuple[Service, ...]
    stamped: datetime | None


def read_request(avps: Group, rating_group: int) -> CreditControl:
    """A CCR. ``rating_group`` is meant where it names none. Raises ``Refused``."""
    session_id = _name(avps, names.AVP_SESSION_ID)
    avps.needed(names.AVP_AUTH_APPLICATION_ID)
    avps.needed(names.AVP_SERVICE_CONTEXT_ID)
    request_type = avps.needed(names.AVP_CC_REQUEST_TYPE)
    if request_type not in _ACTS:
        raise _invalid(avps, names.AVP_CC_REQUEST_TYPE, f"CC-Request-Type {request_type}")
    if _ACTS[request_type] is SessionAct.EVENT and avps.needed(names.AVP_REQUESTED_ACTION) != _DIRECT_DEBITING:
        raise _invalid(avps, names.AVP_REQUESTED_ACTION, "only DIRECT_DEBITING is served")
    return CreditControl(
        session_id=session_id,
        act=_ACTS[request_type],
        number=avps.needed(names.AVP_CC_REQUEST_NUMBER),
        origin_host=_name(avps, names.AVP_ORIGIN_HOST),
        origin_realm=_name(avps, names.AVP_ORIGIN_REALM),
        subscribers=tuple(_subscribers(avps)),
        services=_services(avps, rating_group),
        stamped=_stamped(avps),
    )


def _name(avps: Group, code: int) -> str:
    said = avps.needed(code)
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if not text or not text.isprintable() or len(text) > 1000:
        raise _invalid(avps, code, f"AVP {code} is no identity")
    return text


def _invalid(avps: Group, code: int, reason: str) -> Refused:
    return Refused(Result.INVALID_AVP_VALUE, reason, avps.first(code))


def _subscribers(avps: Group) -> Iterator[str]:
    for _, group in avps.groups(names.AVP_SUBSCRIPTION_ID):
        kind = _SUBSCRIPTIONS.get(group.needed(names.AVP_SUBSCRIPTION_ID_TYPE))
        data = group.needed(names.AVP_SUBSCRIPTION_ID_DATA)
        if kind is not None:
            yield f"{kind}-{data}"


def _stamped(avps: Group) -> datetime | None:
    found = avps.first(names.AVP_EVENT_TIMESTAMP)
    if found is None:
        return None
    if len(found.payload) != 4:
        raise _invalid(avps, names.AVP_EVENT_TIMESTAMP, "Event-Timestamp has four octets")
    # python-diameter reads it in the machine's own zone, without saying so. From 2036 on it begins anew.
    seconds = int.from_bytes(found.payload)
    return datetime.fromtimestamp((seconds if seconds & 0x8000_0000 else seconds + 2**32) - EPOCH, UTC)


def _services(avps: Group, rating_group: int) -> tuple[Service, ...]:
    found: list[Service] = []
    for whole, group in avps.groups(names.AVP_MULTIPLE_SERVICES_CREDIT_CONTROL):
        said = group.value(names.AVP_RATING_GROUP)
        if said is not None and said > LARGEST_GROUP:
            raise _invalid(group, names.AVP_RATING_GROUP, f"rating group {said} is above {LARGEST_GROUP}")
        named = [*group.all(names.AVP_SERVICE_IDENTIFIER), *group.all(names.AVP_RATING_GROUP)]
        found.append(Service(_report(group, rating_group if said is None else said), named))
        twice = asked_twice(service.report for service in found)
        if twice is not None:
            raise Refused(Result.INVALID_AVP_VALUE, f"rating group {twice} asks for two quotas", whole)
    single = (names.AVP_REQUESTED_SERVICE_UNIT, names.AVP_USED_SERVICE_UNIT)
    if not found and any(avps.all(code) for code in single):
        return (Service(_report(avps, rating_group), None),)
    return tuple(found)


def _report(group: Group, rating_group: int) -> GroupReport:
    asked = [units for _, units in group.groups(names.AVP_REQUESTED_SERVICE_UNIT)]
    used = [units for _, units in group.groups(names.AVP_USED_SERVICE_UNIT)]
    # Who asks for nothing, or for as much as is right, is charged in the quota's unit, which the engine knows.
    unit = _unit(asked)
    if unit is None and _unit(used) is Unit.MONEY:
        unit = Unit.MONEY
    for one in (*asked, *used):
        for code in (*_OCTETS, names.AVP_CC_TIME, names.AVP_CC_SERVICE_SPECIFIC_UNITS):
            if (one.value(code) or 0) > LARGEST_AMOUNT:
                raise _invalid(one, code, f"AVP {code} is above {LARGEST_AMOUNT}")
    reasons = [one.value(names.AVP_TGPP_3GPP_REPORTING_REASON, VENDOR_3GPP) for one in (group, *used)]
    return GroupReport(
        rating_group=rating_group,
        unit=unit,
        used=_used(used) if used else None,
        requested=None if not asked else 0 if unit is None else _amount(asked[0], unit),
        final=_FINAL in reasons,
    )


def _unit(groups: Iterable[Group]) -> Unit | None:
    """What is counted. Who reports octets often tells the seconds beside them: then octets are meant."""
    told = list(groups)
    if any(one.all(code) for one in told for code in _OCTETS):
        return Unit.OCTETS
    for unit in (Unit.SECONDS, Unit.MESSAGES):
        if any(one.all(_AMOUNTS[unit]) for one in told):
            return unit
    return Unit.MONEY if any(one.all(names.AVP_CC_MONEY) for one in told) else None


def _amount(group: Group, unit: Unit) -> int:
    """0 where nothing is named: as much as is right."""
    if unit is Unit.OCTETS:
        total, up, down = (group.value(code) or 0 for code in _OCTETS)
        return int(max(total, up + down))
    return 0 if unit is Unit.MONEY else int(group.value(_AMOUNTS[unit]) or 0)


def _used(groups: Iterable[Group]) -> Used:
    """The sum of what was used before and after a change of tariff. A total without directions goes down."""
    up = down = seconds = messages = 0
    for group in groups:
        total, sent, received = (group.value(code) or 0 for code in _OCTETS)
        up += sent
        down += max(total - sent, received)
        seconds += group.value(names.AVP_CC_TIME) or 0
        messages += group.value(names.AVP_CC_SERVICE_SPECIFIC_UNITS) or 0
    return Used(octets_up=up, octets_down=down, seconds=seconds, messages=messages)


def session_request(asked: CreditControl, line: LineRef, peer: str, now: datetime) -> SessionRequest:
    """What a CCR asks of the engine. Retransmissions have the same Session-Id and CC-Request-Number (RFC 8506 §3.1)."""
    stamped = asked.stamped
    believed = stamped is not None and abs(stamped - now) < BELIEVED
    return SessionRequest(
        account=line.account,
        line_id=line.line_id,
        key=session_key(INTERFACE, asked.session_id, asked.number),
        asked_at=min(stamped, now) if stamped is not None and believed else now,
        source=f"{INTERFACE}:{peer}",
        act=asked.act,
        interface=INTERFACE,
        session_id=asked.session_id,
        sequence=asked.number,
        reports=merged(service.report for service in asked.services),
        node=asked.origin_host,
        notify=urlencode({"peer": peer, "realm": asked.origin_realm}),
    )


def answer_avps(asked: CreditControl, groups: Sequence[GroupAnswer]) -> tuple[Result, list[Avp]]:
    """The result of a CCR, and what is said of its services: the quota to that which asked for it."""
    by_group = {group.rating_group: group for group in groups}
    asking = {service.report.rating_group for service in asked.services if service.report.requested is not None}
    said: list[Avp] = []
    for service in asked.services:
        report, group = service.report, by_group[service.report.rating_group]
        quota = [] if report.requested is None and report.rating_group in asking else _quota(group)
        if service.named is None:
            return _RESULTS[group.result], quota
        result = avp(names.AVP_RESULT_CODE, int(_RESULTS[group.result]))
        said.append(avp(names.AVP_MULTIPLE_SERVICES_CREDIT_CONTROL, [*service.named, result, *quota]))
    return Result.SUCCESS, said


def _quota(group: GroupAnswer) -> list[Avp]:
    said: list[Avp] = []
    if group.granted is not None and group.result is ResultCode.SUCCESS:
        said.append(avp(names.AVP_GRANTED_SERVICE_UNIT, [avp(_AMOUNTS[group.unit], group.granted)]))
    if group.validity_seconds is not None:
        said.append(avp(names.AVP_VALIDITY_TIME, group.validity_seconds))
    if group.final_unit is not None:
        said.append(avp(names.AVP_FINAL_UNIT_INDICATION, _final(group.final_unit, group.redirect_to)))
    if group.threshold is not None:
        said.append(avp(_THRESHOLDS[group.unit], min(group.threshold, 2**32 - 1), VENDOR_3GPP))
    if group.holding_seconds is not None:
        said.append(avp(names.AVP_TGPP_QUOTA_HOLDING_TIME, group.holding_seconds, VENDOR_3GPP))
    return said


def _final(action: FinalUnit, redirect_to: str | None) -> list[Avp]:
    said = [avp(names.AVP_FINAL_UNIT_ACTION, _ACTIONS[action])]
    if redirect_to is not None:
        server = [avp(names.AVP_REDIRECT_ADDRESS_TYPE, _URL), avp(names.AVP_REDIRECT_SERVER_ADDRESS, redirect_to)]
        said.append(avp(names.AVP_REDIRECT_SERVER, server))
    return said
