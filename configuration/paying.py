"""The operator's file: how people pay, what makes a payment suspicious, and how gateways' files are reconciled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configuration.base import Strict
from configuration.catalogue import LONGEST_NAME


class ReconciliationRules(Strict):
    """How gateways' statements are matched with the books."""

    #: what becomes of money that a gateway has and nobody was credited, where nothing but the credit is missing: it
    #: waits for staff (``never``), is credited once the gateway confirms it, or because the statement says so
    credit: Literal["never", "confirmed", "stated"] = "confirmed"
    #: by which of these rules credited money that the gateway has given back, whole or in part, is taken back; nothing:
    #: by the same. M-Pesa confirms no parts, so there they wait for staff unless this is ``stated``
    given_back: Literal["never", "confirmed", "stated"] | None = None
    #: hours that both sides of one payment may lie apart
    late_hours: int = Field(default=24, ge=1, le=24 * 14)
    #: minutes from a statement's ends within which a booking may be stated by the next one
    edge_minutes: int = Field(default=60, ge=0, le=24 * 60)
    #: local hour from which yesterday's statement is fetched, where the gateway offers it
    fetch_hour: int = Field(default=4, ge=0, le=23)


class MethodRules(Strict):
    """One way to pay. Amounts are minor units."""

    #: what people call it: ``M-Pesa``; nothing: its general name in their language
    name: str = Field(default="", max_length=LONGEST_NAME)
    least: int = Field(default=1, ge=1)
    most: int = Field(default=10**12, ge=1)
    #: of one account on one local day
    per_day: int = Field(default=10**12, ge=1)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not self.least <= self.most <= self.per_day:
            raise ValueError("least, most and per_day must not shrink in this order")
        return self


class PaymentRules(Strict):
    """What people can pay with, and how much."""

    #: quick choices, minor units
    amounts: tuple[Annotated[int, Field(gt=0)], ...] = ()
    #: method → its rules; methods that are not here are not taken. Nothing here: whatever the gateways take
    methods: dict[Literal["mobile_money", "card", "bank"], MethodRules] = Field(default={})
    #: no payment takes an account's money above this, minor units; 0: no limit
    balance_most: int = Field(default=0, ge=0)
    #: payments of one account that may wait for an answer at the same time; 0: any number
    waiting_most: int = Field(default=0, ge=0, le=100)
    #: hours that staff has for a payment that is held back; then it is refused, and the person is told
    review_hours: int = Field(default=24, ge=1, le=24 * 30)
    #: days after which what providers said and stated, and the names that people quote, are forgotten; the books stay
    keep_days: int = Field(default=400, ge=60, le=3660)


class Velocity(Strict):
    """More than ``most`` payments within ``minutes`` weigh ``weight``."""

    of: Literal["subscriber", "payer", "device"]
    most: int = Field(ge=1, le=1000)
    minutes: int = Field(ge=1, le=7 * 24 * 60)
    weight: int = Field(ge=1, le=1000)


class FraudRules(Strict):
    """What makes a payment suspicious. Weights add up; without any rule nothing is."""

    velocity: tuple[Velocity, ...] = ()
    #: an amount above so many times the line's usual one, known from at least ``outlier_history`` payments; 0: never
    outlier_times: int = Field(default=0, ge=0, le=1000)
    outlier_history: int = Field(default=3, ge=1, le=100)
    outlier_weight: int = Field(default=40, ge=0, le=1000)
    #: a line that was opened so few hours ago; 0: never
    new_line_hours: int = Field(default=0, ge=0, le=24 * 365)
    new_line_weight: int = Field(default=20, ge=0, le=1000)
    #: a line that was given another SIM so few hours ago; 0: never
    sim_change_hours: int = Field(default=0, ge=0, le=24 * 365)
    sim_change_weight: int = Field(default=40, ge=0, le=1000)
    #: somebody else's number or a card pays
    other_payer_weight: int = Field(default=0, ge=0, le=1000)
    #: scores from which staff looks at a payment first, and from which it is refused
    review_at: int = Field(default=60, ge=1)
    refuse_at: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _review_first(self) -> Self:
        if self.review_at > self.refuse_at:
            raise ValueError("review_at must not be above refuse_at")
        return self
