"""The operator's file: what use costs, quotas, gifts, advances, renewals, and the regulator's policy."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configuration.base import Strict


class Category(Strict):
    """A kind of traffic that the network tells apart by its rating groups (TS 32.299 §7.2.155)."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    rating_groups: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = ()
    #: costs nothing, whatever is left
    zero_rated: bool = False


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Rate(Strict):
    """What use costs when money pays for it. The first rate of the file that fits is applied."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    unit: Literal["octets", "seconds", "messages"]
    #: None fits every category
    category: str | None = None
    #: minor units for every ``per`` units; parts are rounded up to whole ``step`` units, once for each session
    price: int = Field(ge=0)
    per: int = Field(default=1, ge=1)
    step: int = Field(default=1, ge=1)
    #: local days and times at which it holds; none: always. A start after the end spans midnight
    days: tuple[Day, ...] = ()
    time_from: time | None = None
    time_to: time | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.time_from is None) != (self.time_to is None) or (
            self.time_from is not None and self.time_from == self.time_to
        ):
            raise ValueError("time_from and time_to belong together and differ")
        return self


class QuotaRules(Strict):
    """How much the network may use before it asks again."""

    #: ask again after so many seconds at the latest
    validity_seconds: int = Field(default=600, ge=1, le=86_400)
    #: what is not reported so long after that is let go
    grace_seconds: int = Field(default=30, ge=0, le=86_400)
    #: give back what stands idle so long; 0: never
    holding_seconds: int = Field(default=300, ge=0, le=86_400)
    #: a quota is meant to last so long at the session's pace
    lasts_seconds: int = Field(default=300, ge=1, le=86_400)
    #: ask again when so much of it is left
    threshold_percent: int = Field(default=20, ge=0, le=90)
    #: octets, seconds and messages that a quota has at least (unless less is left) and at most
    octets: tuple[int, int] = (1_000_000, 200_000_000)
    seconds: tuple[int, int] = (60, 1_800)
    messages: tuple[int, int] = (1, 20)
    #: what the network does when the last quota is used up, and where it sends people then
    final_unit: Literal["terminate", "redirect", "restrict_access"] = "terminate"
    redirect_to: str = ""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for name in ("octets", "seconds", "messages"):
            least, most = getattr(self, name)
            if not 0 < least <= most:
                raise ValueError(f"{name}: the least must be above 0 and not above the most")
        if (self.final_unit == "redirect") != bool(self.redirect_to):
            raise ValueError("redirect_to belongs to final_unit redirect")
        return self


def _part(amount: int, percent: int) -> int:
    """So many percent of an amount, rounded up to a whole minor unit."""
    return -(-amount * percent // 100)


class TransferRules(Strict):
    """Gifts of one unit from line to line."""

    unit: Literal["money", "octets", "seconds", "messages"]
    least: int = Field(ge=1)
    most: int = Field(ge=1)
    #: gifts of this unit, and units given away, on one local day
    per_day: int = Field(default=5, ge=1)
    most_per_day: int = Field(ge=1)
    #: minor units
    fee: int = Field(default=0, ge=0)
    #: of the amount, rounded up; money only
    fee_percent: int = Field(default=0, ge=0, le=50)
    #: a gift can be taken back so long, while it is unspent
    undo_minutes: int = Field(default=10, ge=0, le=24 * 60)

    def fee_for(self, amount: int) -> int:
        """Minor units that a gift of ``amount`` costs its sender."""
        return self.fee + (_part(amount, self.fee_percent) if self.unit == "money" else 0)


class AdvanceRules(Strict):
    """Emergency credit."""

    #: minor units that may be borrowed
    amounts: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    #: of the amount, rounded up
    fee_percent: int = Field(default=10, ge=0, le=50)
    #: only who has less than this, minor units
    balance_below: int = Field(gt=0)
    #: only lines that are so old, and were recharged so often within ``recharge_days``
    line_days: int = Field(default=30, ge=0)
    recharges: int = Field(default=1, ge=0, le=100)
    recharge_days: int = Field(default=30, ge=1)

    def fee_for(self, amount: int) -> int:
        """Minor units that an advance of ``amount`` costs."""
        return _part(amount, self.fee_percent)


class RenewalRules(Strict):
    """Products that renew themselves."""

    #: how long before it is paid its owner hears of it; 0: never
    notice_hours: int = Field(default=24, ge=0, le=24 * 7)
    #: after a refusal it is tried again so many hours later; after the last it is given up
    back_off_hours: tuple[Annotated[int, Field(ge=1, le=24 * 7)], ...] = (1, 6, 24)


class FairUse(Strict):
    """How fast a line is served once it has used much: one step. Before the first it is served at ``full`` speed."""

    #: the network's name for the step: ``1mbps``, ``throttled``
    speed: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    #: octets in one local day or month beyond which it holds, until that ends
    above: int = Field(gt=0)
    period: Literal["day", "month"] = "month"

    @model_validator(mode="after")
    def _slower_than_full(self) -> Self:
        if self.speed == "full":
            raise ValueError("speed: full is what holds before the first step")
        return self


class Policy(Strict):
    """What a regulator asks for. In the operator's file a name is a file of ``policies/`` beside it."""

    name: str = "own"
    #: percent of what a bucket was opened with whose use is told
    alert_shares: tuple[Annotated[int, Field(ge=1, le=100)], ...] = ()
    #: whether money pays for ``opt_in_units`` of lines that never said; the others it always pays for
    out_of_bundle: bool = False
    opt_in_units: tuple[Literal["octets", "seconds", "messages"], ...] = ("octets",)
    #: how often what is left of a product's bucket lives on, as long again, for products of more than so many days
    roll_over_times: int = Field(default=0, ge=0, le=120)
    roll_over_above_days: int = Field(default=7, ge=0)
    #: whether people may give what they have to others
    transfers: bool = True
    #: use of a day that is so many times the usual is told; 0: never
    unusual_times: int = Field(default=0, ge=0, le=1000)
