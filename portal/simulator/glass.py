"""The glass panel: what each hop of a session did to the books.

The conversation leaves a short trace of each hop in Redis (``trace:<gateway session id>``, a list of JSON objects:
``hop``, ``state``, ``replayed``, ``ms`` by phase, ``operations``); the engine explains the operations it names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from babel.numbers import format_currency, get_currency_precision
from redis.asyncio import Redis

from dialogs.refusals import refusal
from engine.api import Engine
from engine.words import AccountRef, Bucket, Code, Subscriber
from portal.base.words import LANGUAGES, PageTexts
from portal.selfcare.shown import KINDS
from settings import Operator

Json = dict[str, Any]


class Glass:
    """Reads traces and enriches them with ledger transfers and the buckets before and after."""

    def __init__(self, engine: Engine, redis: Redis, operator: Operator) -> None:
        self._engine = engine
        self._redis = redis
        self._operator = operator
        self._texts = PageTexts(tuple(LANGUAGES), operator.timezone)

    async def session(self, session_id: str, language: str) -> list[Json]:
        """Every hop of a gateway's session, oldest first, each operation with what it moved, in words of a language."""
        explained: dict[str, Json | None] = {}
        hops = [json.loads(item) for item in await self._redis.lrange(f"trace:{session_id}", 0, -1)]
        for hop in hops:
            for operation in hop["operations"]:
                key = operation["key"]
                if key not in explained:
                    shard, account = operation["account"]
                    explained[key] = await self._explain(AccountRef(int(shard), UUID(account)), UUID(key), language)
            hop["operations"] = [{"key": each["key"], **(explained[each["key"]] or {})} for each in hop["operations"]]
        return hops

    def line(self, line: Subscriber) -> Json:
        """What a line holds: its money, and a gauge for each bucket of anything else."""
        money = sum(bucket.amount for bucket in line.buckets if bucket.unit == "money")
        names = {product.code: product.name for product in self._operator.products}
        return {
            "msisdn": line.msisdn,
            "known": True,
            "status": line.status,
            "money": self.amount("money", money),
            "minor": money,
            "gauges": [self._gauge(bucket, names) for bucket in line.buckets if bucket.unit != "money"],
        }

    def _gauge(self, bucket: Bucket, names: Mapping[str, Mapping[str, str]]) -> Json:
        return {
            "id": str(bucket.bucket_id),
            "names": dict(names.get(bucket.product, {"en": bucket.product})),
            "unit": bucket.unit,
            "left": bucket.amount,
            "reserved": bucket.reserved,
            "initial": max(bucket.initial, bucket.amount),
        }

    def amount(self, unit: str, amount: int) -> str:
        """An amount as people read it: ``KES 50.00``, ``1.5 GB``, ``12 min 5 s``."""
        if unit == "money":
            return self._money(amount)
        if unit == "seconds":
            return duration(amount)
        if unit == "octets":
            return octets(amount)
        return f"{amount:,} {unit}"

    def _money(self, amount: int) -> str:
        currency = self._operator.currency
        value = Decimal(amount).scaleb(-get_currency_precision(currency))
        return format_currency(value, currency, format="¤¤ #,##0.00;-¤¤ #,##0.00", locale="en", currency_digits=True)

    async def _explain(self, account: AccountRef, key: UUID, language: str) -> Json | None:
        found = await self._engine.explain(account, key)
        if found is None:
            return None
        story: Json = msgspec.to_builtins(found)
        for transfer in story["transfers"]:
            transfer["text"] = self.amount(transfer["unit"], transfer["amount"])
        answer, code = story["answer"], story["code"]
        refused = {**answer.get("details", {}), "code": code, "currency": self._operator.currency}
        return {
            "kind": story["kind"],
            "name": self._texts.say(language, KINDS[story["kind"]]),
            "code": code,
            "refused": "" if code == Code.OK else self._texts.say(language, refusal(refused)),
            "reference": story["reference"],
            "booked_at": story["booked_at"],
            "transfers": story["transfers"],
            "effects": [self._effect(effect) for effect in answer.get("effects", ())],
        }

    def _effect(self, effect: Json) -> Json:
        change = effect["after"] - effect["before"]
        return {
            "product": effect["product"],
            "unit": effect["unit"],
            "before": self.amount(effect["unit"], effect["before"]),
            "after": self.amount(effect["unit"], effect["after"]),
            "change": ("+" if change >= 0 else "−") + self.amount(effect["unit"], abs(change)),
        }


def octets(amount: int) -> str:
    """Octets in the largest decimal unit, to three places."""
    for size, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if amount >= size:
            whole = Decimal(amount) / size
            return f"{whole.quantize(Decimal('0.001')).normalize():,f} {name}"
    return f"{amount} octets"


def duration(seconds: int) -> str:
    """Seconds as whole minutes and what is left over."""
    minutes, rest = divmod(seconds, 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes:,} min {rest} s" if rest else f"{minutes:,} min"
