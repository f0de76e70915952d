"""Resources of TMF654 and TMF635 v4.0.0 as they are on the wire: what we read and what we write.

Amounts are decimals, exact on both sides: no float touches them. Attributes that we do nothing with are tolerated.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=2000)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """All have in common how attributes are spelled and that what is not set is not written."""


class Error(Wire, frozen=True, kw_only=True):
    """TMF630 part 1: why a request was refused."""

    code: str
    reason: str
    message: str | None = None
    status: str | None = None


class Quantity(Wire, frozen=True, kw_only=True):
    """An amount and its unit."""

    amount: Decimal
    units: str | None = None


class Money(Wire, frozen=True, kw_only=True):
    """An amount of a currency, major units."""

    value: Decimal
    unit: str | None = None


class Ref(Wire, frozen=True, kw_only=True):
    """A reference to something else: ``LogicalResourceRef``, ``BucketRef``, ``PartyAccountRef`` and their like."""

    id: Id
    href: str | None = None
    name: Text | None = None


class TimePeriod(Wire, frozen=True, kw_only=True):
    """From when, until when."""

    start_date_time: datetime | None = None
    end_date_time: datetime | None = None


# -- TMF654 -----------------------------------------------------------------------------------------------------------


class Bucket(Wire, frozen=True, kw_only=True):
    """An amount of one kind that a line may use."""

    id: str
    href: str
    name: str
    usage_type: str
    status: str
    remaining_value: Quantity
    reserved_value: Quantity
    remaining_value_name: str
    valid_for: TimePeriod
    logical_resource: tuple[Ref, ...]
    party_account: Ref
    product: tuple[Ref, ...] = ()
    type: str = msgspec.field(default="", name="@type")


class AccumulatedBalance(Wire, frozen=True, kw_only=True):
    """All buckets of one kind together."""

    id: str
    href: str
    name: str
    usage_type: str
    total_balance: Quantity
    bucket: tuple[Ref, ...]
    logical_resource: Ref
    party_account: Ref


class ActionCreate(Wire, frozen=True, kw_only=True):
    """What asking for an action has in common. Of ``bucket`` and ``logicalResource`` one at least names the line."""

    usage_type: Id
    bucket: Ref | None = None
    logical_resource: Annotated[tuple[Ref, ...], msgspec.Meta(max_length=1)] = ()
    party_account: Ref | None = None
    channel: Ref | None = None
    reason: Text | None = None
    description: Text | None = None


class TopupBalanceCreate(ActionCreate, frozen=True, kw_only=True):
    """A top-up: by ``voucher`` (it says itself what it is worth), else of ``amount``."""

    amount: Quantity | None = None
    #: until when what is credited may be used; a voucher says that itself
    valid_for: TimePeriod | None = None
    voucher: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class AdjustBalanceCreate(ActionCreate, frozen=True, kw_only=True):
    """A correction: below zero deducts."""

    amount: Quantity
    valid_for: TimePeriod | None = None


class TransferBalanceCreate(ActionCreate, frozen=True, kw_only=True):
    """A gift. ``transferCost`` is the fee that was agreed to; another one refuses."""

    amount: Quantity
    receiver_logical_resource: Ref
    transfer_cost: Money | None = None


class ReserveBalanceCreate(ActionCreate, frozen=True, kw_only=True):
    """A reservation; without ``amount`` of as much as is right."""

    amount: Quantity | None = None


class StatusUpdate(Wire, frozen=True, kw_only=True):
    """What a PATCH may change: ``status`` to ``cancelled``."""

    status: str
    reason: Text | None = None


class ImpactedBucket(Wire, frozen=True, kw_only=True):
    """What an action did to one bucket."""

    bucket: Ref
    before: Quantity
    after: Quantity


class BalanceAction(Wire, frozen=True, kw_only=True):
    """A top-up, correction, gift or reservation as it stands; in the history also every other action."""

    id: str
    href: str
    status: str
    usage_type: str | None = None
    amount: Quantity | None = None
    bucket: Ref | None = None
    logical_resource: tuple[Ref, ...] = ()
    party_account: Ref | None = None
    requested_date: datetime | None = None
    confirmation_date: datetime | None = None
    valid_for: TimePeriod | None = None
    reason: str | None = None
    description: str | None = None
    channel: Ref | None = None
    product: tuple[Ref, ...] = ()
    receiver_logical_resource: Ref | None = None
    transfer_cost: Money | None = None
    #: what it did to each bucket: before and after
    impacted_bucket: tuple[ImpactedBucket, ...] = ()
    type: str = msgspec.field(default="", name="@type")


class SubscriptionInput(Wire, frozen=True, kw_only=True):
    """Who wants to hear of events. ``secret`` signs what is sent; without one it is made and told once."""

    callback: Annotated[str, msgspec.Meta(max_length=2000)]
    query: Annotated[str, msgspec.Meta(max_length=500)] = ""
    secret: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class EventSubscription(Wire, frozen=True, kw_only=True):
    """A subscription."""

    id: str
    callback: str
    query: str = ""
    secret: str | None = None


# -- TMF635 -----------------------------------------------------------------------------------------------------------


class UsageCharacteristic(Wire, frozen=True, kw_only=True):
    """One thing that is known of a use."""

    name: Id
    value: Any
    value_type: str | None = None


class RatedProductUsage(Wire, frozen=True, kw_only=True):
    """What a use cost."""

    rating_date: datetime
    is_billed: bool
    usage_rating_tag: str
    tax_included_rating_amount: Money
    rating_amount_type: str
    bucket_value: Quantity | None = None


class UsageCreate(Wire, frozen=True, kw_only=True):
    """A use that is to be rated and charged. The same ``id`` of the same client again changes nothing."""

    id: Id | None = None
    usage_type: Id
    usage_date: datetime | None = None
    description: Text | None = None
    related_party: Annotated[tuple[Ref, ...], msgspec.Meta(max_length=1)] = ()
    usage_characteristic: Annotated[tuple[UsageCharacteristic, ...], msgspec.Meta(max_length=50)] = ()


class Usage(Wire, frozen=True, kw_only=True):
    """A use as it was rated."""

    id: str
    href: str
    usage_type: str
    usage_date: datetime
    status: str
    description: str | None = None
    related_party: tuple[Ref, ...] = ()
    usage_characteristic: tuple[UsageCharacteristic, ...] = ()
    rated_product_usage: tuple[RatedProductUsage, ...] = ()
    usage_specification: Ref | None = None
    type: str = msgspec.field(default="", name="@type")


class SpecCharacteristic(Wire, frozen=True, kw_only=True):
    """A characteristic that uses of a kind have."""

    name: str
    value_type: str
    description: str
    min_cardinality: int


class UsageSpecification(Wire, frozen=True, kw_only=True):
    """A kind of use and its characteristics."""

    id: str
    href: str
    name: str
    description: str
    spec_characteristic: tuple[SpecCharacteristic, ...]
    lifecycle_status: str
    version: str
