"""TMF654: buckets, and the balances that they make together."""

from __future__ import annotations

from uuid import UUID, uuid5

from aiohttp import web

from engine.api import Engine
from engine.words import Bucket, LineStatus, Subscriber, Unit
from network.endpoints import Endpoint, Parameter
from network.http import Problem, json_response, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, USAGE_TYPES, quantity, unit_of
from network.tmf.answers import FIELDS, PAGING, chosen, sliced
from network.tmf.lines import BUCKET, NOT_FOUND, ROOT, Lines, Owner, account_ref, line_of, resource_refs

ACCUMULATED = "accumulatedBalance"

LINE = Parameter("logicalResource.id", "the line's number (MSISDN), with or without +", required=True)
_KIND = Parameter("usageType", "monetary, voice, data or sms")

_SERVED = (LineStatus.ACTIVE, LineStatus.PREACTIVE)


class Buckets:
    """What a line has."""

    def __init__(self, engine: Engine, lines: Lines) -> None:
        self._engine = engine
        self._lines = lines

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        one, many = wire.Bucket, list[wire.Bucket]
        total, totals = wire.AccumulatedBalance, list[wire.AccumulatedBalance]
        bucket, accumulated = f"{ROOT}/bucket", f"{ROOT}/{ACCUMULATED}"
        query = (LINE, _KIND, FIELDS, *PAGING[:2])
        return (
            Endpoint("GET", bucket, "balances", self.list, "A line's buckets", 200, many, None, query),
            Endpoint("GET", f"{bucket}/{{id}}", "balances", self.get, "A bucket", 200, one, None, (FIELDS,)),
            Endpoint("GET", accumulated, "balances", self.totals, "A line's balances", 200, totals, None, query),
            Endpoint("GET", f"{accumulated}/{{id}}", "balances", self.total, "A balance", 200, total, None, (FIELDS,)),
        )

    async def list(self, request: web.Request) -> web.StreamResponse:
        """``GET /bucket?logicalResource.id=``: in the order in which they pay."""
        subscriber = await self._asked(request)
        return sliced(request, [self._bucket(subscriber, one) for one in subscriber.buckets])

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``GET /bucket/{id}``; 404 once it has ended."""
        owner, bucket_id = await self._lines.by_reference(request.match_info["id"], BUCKET)
        subscriber = await self._of(owner)
        for one in subscriber.buckets:
            if one.bucket_id == bucket_id:
                return json_response(chosen(request, self._bucket(subscriber, one)))
        raise Problem(404, NOT_FOUND, "this bucket is used up or over")

    async def totals(self, request: web.Request) -> web.StreamResponse:
        """``GET /accumulatedBalance?logicalResource.id=``: one for each kind of which there is a bucket."""
        subscriber = await self._asked(request)
        units = dict.fromkeys(one.unit for one in subscriber.buckets)
        return sliced(request, [self._total(subscriber, unit) for unit in units])

    async def total(self, request: web.Request) -> web.StreamResponse:
        """``GET /accumulatedBalance/{id}``."""
        owner, thing = await self._lines.by_reference(request.match_info["id"], ACCUMULATED)
        subscriber = await self._of(owner)
        for unit in Unit:
            if _thing(subscriber, unit) == thing:
                return json_response(chosen(request, self._total(subscriber, unit)))
        raise Problem(404, NOT_FOUND, "no such balance")

    async def _asked(self, request: web.Request) -> Subscriber:
        number = request.query.get(LINE.name)
        if not number:
            raise wrong(BAD, LINE.name, "missing: the line's number")
        kinds = request.query.get(_KIND.name)
        for kind in () if kinds is None else kinds.split(","):
            unit_of(kind)
        return await self._lines.subscriber(number, LINE.name)

    async def _of(self, owner: Owner) -> Subscriber:
        if owner.msisdn is None:
            raise Problem(404, NOT_FOUND, "no such line")
        return await self._lines.subscriber(owner.msisdn, "id")

    def _name(self, code: str) -> str | None:
        """A product's name in the operator's own language, as the catalogue says it now; None: it is no product's."""
        operator = self._engine.operator
        found = next((product for product in operator.products if product.code == code), None)
        return None if found is None else found.name[operator.languages[0]]

    def _bucket(self, subscriber: Subscriber, one: Bucket) -> wire.Bucket:
        line, currency = line_of(subscriber), subscriber.currency
        ref = self._lines.bucket_ref(line, one.bucket_id)
        remaining = quantity(one.amount - one.reserved, one.unit, currency)
        served = subscriber.status in _SERVED and not subscriber.frozen
        name = self._name(one.product)
        product = () if name is None else (wire.Ref(id=one.product, name=name),)
        return wire.Bucket(
            id=ref.id,
            href=str(ref.href),
            name=name or one.product,
            usage_type=USAGE_TYPES[one.unit],
            status="active" if served else "suspended",
            remaining_value=remaining,
            reserved_value=quantity(one.reserved, one.unit, currency),
            remaining_value_name=f"{remaining.amount:f} {remaining.units}",
            valid_for=wire.TimePeriod(start_date_time=one.starts_at, end_date_time=one.expires_at),
            logical_resource=resource_refs(Owner(line, subscriber.msisdn)),
            party_account=account_ref(line),
            product=product,
            type="Bucket",
        )

    def _total(self, subscriber: Subscriber, unit: Unit) -> wire.AccumulatedBalance:
        line = line_of(subscriber)
        name = self._lines.id_of(line, _thing(subscriber, unit), ACCUMULATED)
        return wire.AccumulatedBalance(
            id=name,
            href=f"{ROOT}/{ACCUMULATED}/{name}",
            name=USAGE_TYPES[unit],
            usage_type=USAGE_TYPES[unit],
            total_balance=quantity(subscriber.total(unit), unit, subscriber.currency),
            bucket=tuple(self._lines.bucket_ref(line, one.bucket_id) for one in subscriber.buckets if one.unit is unit),
            logical_resource=wire.Ref(id=subscriber.msisdn, name="MSISDN"),
            party_account=account_ref(line),
        )


def _thing(subscriber: Subscriber, unit: Unit) -> UUID:
    return uuid5(subscriber.line_id, unit)
