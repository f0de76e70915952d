"""TMF635: uses that other systems report are rated and charged through the one door, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import (
    Answer,
    Code,
    GroupReport,
    SessionAct,
    SessionRequest,
    Unit,
    Used,
    session_key,
)
from network.endpoints import Endpoint, Parameter
from network.http import CLIENT, Problem, json_response, moment, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, USAGE_TYPES, UsageType, money, quantity, unit_of
from network.tmf.answers import FIELDS, IDEMPOTENCY, PAGING, chosen, cursor, listed, matching, page_of, sliced
from network.tmf.lines import NOT_FOUND, Lines, Owner, line_of
from network.tmf.parts import Part, parts_of
from network.tmf.refusals import refusal
from network.tmf.specifications import COUNTS, ordinary_group, specifications

ROOT = "/tmf-api/usageManagement/v4"
INTERFACE = "tmf635"
USAGE = "usage"

_LINE = Parameter("relatedParty.id", "the line's number (MSISDN), with or without +", required=True)
_DAY = Parameter("usageDate", "a day of the operator's time zone: 2026-01-31", schema={"type": "string"})

_CREATE: Any = msgspec.json.Decoder(wire.UsageCreate)

#: a use is found under its day if it was told within so long
TOLD_WITHIN = timedelta(days=7)
#: more is no use
_MOST = 2**50


class UsageManagement:
    """Uses of lines, and what kinds of them there are."""

    def __init__(self, engine: Engine, lines: Lines) -> None:
        self._engine = engine
        self._lines = lines
        self._zone = ZoneInfo(engine.operator.timezone)
        self._specifications = {one.id: one for one in specifications(engine.operator, ROOT)}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        one, path, specs = wire.Usage, f"{ROOT}/{USAGE}", f"{ROOT}/usageSpecification"
        spec, page = wire.UsageSpecification, (FIELDS, *PAGING[:2])
        query = (_LINE, _DAY, FIELDS, *PAGING)
        return (
            Endpoint("POST", path, "usage", self.create, "Report a use", 201, one, wire.UsageCreate, (IDEMPOTENCY,)),
            Endpoint("GET", path, "usage", self.list, "A line's uses", 200, list[wire.Usage], None, query),
            Endpoint("GET", f"{path}/{{id}}", "usage", self.get, "A use", 200, one, None, (FIELDS,)),
            Endpoint("GET", specs, "usage", self.kinds, "Kinds of use", 200, list[spec], None, page),  # type: ignore[valid-type]
            Endpoint("GET", f"{specs}/{{id}}", "usage", self.kind, "A kind of use", 200, spec, None, (FIELDS,)),
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``POST /usage``: charged whatever is left, as a use that has happened is; the same ``id`` is charged once."""
        asked: wire.UsageCreate = await read_json(request, _CREATE, BAD)
        said = {one.name: one.value for one in asked.usage_characteristic}
        if len(said) < len(asked.usage_characteristic):
            raise wrong(BAD, "usageCharacteristic", "a name comes twice")
        number = asked.related_party[0].id if asked.related_party else said.get("msisdn")
        if not isinstance(number, str):
            raise wrong(BAD, "relatedParty", "missing: the line's number, here or as the characteristic msisdn")
        unit, used = _measured(asked.usage_type, said)
        group = self._rating_group(asked.usage_type, said)
        report = GroupReport(rating_group=group, unit=unit, used=used, final=True)
        subscriber = await self._lines.subscriber(number, "relatedParty[0].id")
        name = str(_name(request, asked.id))
        operation = SessionRequest(
            account=subscriber.account,
            line_id=subscriber.line_id,
            key=session_key(INTERFACE, name, 0),
            asked_at=_happened(asked.usage_date),
            source=f"{INTERFACE}:{request[CLIENT]}",
            act=SessionAct.RELEASE,
            interface=INTERFACE,
            session_id=name,
            sequence=0,
            reports=(report,),
        )
        answer = await self._engine.post(operation)
        if answer.code == Code.KEY_EXPIRED:
            raise wrong(BAD, "usageDate", "too long ago")
        if not answer.ok:
            raise refusal(answer)
        made = self._usage(Owner(line_of(subscriber), subscriber.msisdn), answer, asked.description)
        return json_response(made, 201, {"Location": made.href})

    def _rating_group(self, usage_type: str, said: Mapping[str, Any]) -> int:
        """The traffic category by its number or its code; ordinary data need not say it."""
        given = _whole(said, "ratingGroup", 2**32 - 1)
        known = {one.code: one for one in self._engine.operator.categories if one.rating_groups}
        if given is not None or not known:
            return given or 0
        code = said.get("category")
        if code is None and usage_type == UsageType.DATA:
            return ordinary_group(self._engine.operator)
        if not isinstance(code, str) or code not in known:
            field = "ratingGroup" if code is None else "category"
            raise wrong(BAD, f"usageCharacteristic.{field}", f"a category is meant: {', '.join(known)}")
        return known[code].rating_groups[0]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """``GET /usage?relatedParty.id=&usageDate=``: the latest first, page after page by ``after``."""
        page = page_of(request)
        since, until = self._day(request.query.get(_DAY.name))
        subscriber = await self._lines.subscriber(request.query.get(_LINE.name, ""), _LINE.name)
        wanted = page.offset + page.limit + 1
        found = await self._engine.operations(
            subscriber.account,
            kinds=("session", "charge", "usage"),
            line_id=subscriber.line_id,
            since=since,
            until=None if until is None else until + TOLD_WITHIN,
            after=page.after,
            most=wanted,
        )
        shown = found[page.offset : page.offset + page.limit]
        last = shown[-1].answer if len(found) == wanted and shown else None
        owner = Owner(line_of(subscriber), subscriber.msisdn)
        of_line = [
            one.answer
            for one in shown
            if parts_of(one.answer)
            and (since is None or since <= self._used_at(one.answer))
            and (until is None or self._used_at(one.answer) < until)
        ]
        following = None if last is None else cursor(last.booked_at, last.key)
        return listed(request, matching(request, [self._usage(owner, one) for one in of_line]), following=following)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``GET /usage/{id}``."""
        owner, key = await self._lines.by_reference(request.match_info["id"], USAGE)
        found = await self._engine.explain(owner.line.account, key)
        if found is None:
            raise Problem(404, NOT_FOUND, "no such usage")
        return json_response(chosen(request, self._usage(owner, msgspec.convert(found["answer"], Answer))))

    async def kinds(self, request: web.Request) -> web.StreamResponse:
        """``GET /usageSpecification``."""
        return sliced(request, [*self._specifications.values()])

    async def kind(self, request: web.Request) -> web.StreamResponse:
        """``GET /usageSpecification/{id}``."""
        found = self._specifications.get(request.match_info["id"])
        if found is None:
            raise Problem(404, NOT_FOUND, "no such usageSpecification")
        return json_response(chosen(request, found))

    def _day(self, text: str | None) -> tuple[datetime | None, datetime | None]:
        if text is None:
            return None, None
        try:
            day = date.fromisoformat(text)
            begins, ends = (datetime.combine(one, time(), self._zone) for one in (day, day + timedelta(days=1)))
            return begins.astimezone(UTC), ends.astimezone(UTC)
        except (ValueError, OverflowError):
            raise wrong(BAD, _DAY.name, "a day is meant: 2026-01-31") from None

    def _usage(self, owner: Owner, answer: Answer, description: str | None = None) -> wire.Usage:
        name = self._lines.id_of(owner.line, answer.key, USAGE)
        parts = parts_of(answer)
        kind = USAGE_TYPES[parts[0].unit] if parts else UsageType.DATA
        specification = self._specifications.get(kind)
        return wire.Usage(
            id=name,
            href=f"{ROOT}/{USAGE}/{name}",
            usage_type=kind,
            usage_date=self._used_at(answer),
            status="rated" if answer.ok and all(one.rated for one in parts) else "rejected",
            description=description,
            related_party=() if owner.msisdn is None else (wire.Ref(id=owner.msisdn, name="MSISDN"),),
            usage_characteristic=tuple(fact for one in parts for fact in one.facts()),
            rated_product_usage=tuple(self._rated(answer, one) for one in parts if one.rated),
            usage_specification=None if specification is None else wire.Ref(id=kind, href=specification.href),
            type="Usage",
        )

    def _used_at(self, answer: Answer) -> datetime:
        """When a use happened: at its booking, unless it was told afterwards; from files, on the last day of it."""
        if answer.kind == "usage":
            days = [date.fromisoformat(group["day"]) for group in answer.details["groups"]]
            return datetime.combine(max(days), time(), self._zone).astimezone(UTC) if days else answer.booked_at
        said = answer.details.get("used_at")
        return answer.booked_at if said is None else datetime.fromisoformat(said)

    def _rated(self, answer: Answer, part: Part) -> wire.RatedProductUsage:
        return wire.RatedProductUsage(
            rating_date=answer.booked_at,
            is_billed=True,
            usage_rating_tag=part.tariff or part.category or "bundle",
            rating_amount_type="Total",
            tax_included_rating_amount=money(part.money, self._lines.currency),
            bucket_value=quantity(part.charged, part.unit, self._lines.currency),
        )


def _measured(usage_type: str, said: Mapping[str, Any]) -> tuple[Unit, Used]:
    """What was used. Raises ``Problem``."""
    unit = unit_of(usage_type)
    if unit is Unit.MONEY:
        raise wrong(BAD, "usageType", "data, voice or sms is meant")
    up, down = _whole(said, "uplinkVolume"), _whole(said, "downlinkVolume")
    total = _whole(said, COUNTS[UsageType(usage_type)])
    if unit is Unit.OCTETS:
        if up is None and down is None and total is None:
            raise wrong(BAD, "usageCharacteristic", "volume, or uplinkVolume and downlinkVolume, is missing")
        sides = (up or 0) + (down or 0)
        used = Used(octets_up=up or 0, octets_down=(down or 0) + max(0, (total or 0) - sides))
    elif total is None:
        raise wrong(BAD, "usageCharacteristic", f"{COUNTS[UsageType(usage_type)]} is missing")
    else:
        used = Used(seconds=total) if unit is Unit.SECONDS else Used(messages=total)
    return unit, used


def _whole(said: Mapping[str, Any], name: str, most: int = _MOST) -> int | None:
    """A characteristic that is a whole number, as a number or as text. Raises ``Problem``."""
    value = said.get(name)
    if value is None:
        return None
    reason = f"a whole number from 0 to {most} is meant"
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 20:
        raise wrong(BAD, f"usageCharacteristic.{name}", reason)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise wrong(BAD, f"usageCharacteristic.{name}", reason) from None
    if not (number.is_finite() and 0 <= number <= most and number == number.to_integral_value()):
        raise wrong(BAD, f"usageCharacteristic.{name}", reason)
    return int(number)


def _name(request: web.Request, given: str | None) -> UUID:
    """What makes a use the same: its client's id for it, or the client's key for the request."""
    own = given or request.headers.get(IDEMPOTENCY.name)
    return uuid4() if own is None else uuid5(NAMESPACE_OID, "|".join((INTERFACE, request[CLIENT], own)))


def _happened(at: datetime | None) -> datetime:
    now = datetime.now(UTC)
    if at is None:
        return now
    return min(moment(at, BAD, "usageDate"), now)
