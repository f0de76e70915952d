"""Every setting of Rasid, typed, in one place: the installation's (``Settings``) and the operator's (``Operator``).

A file in TOML is overruled by the environment. What is unknown, wrong or missing is refused at start, all of it in one
message that names each setting.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import phonenumbers
from babel.core import get_global
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.networks import IPvAnyNetwork
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError as UnreadableVariable,
)

from runtime.keyring import Keyring

PREFIX = "RASID_"
#: variables under the names that other tools and platforms use for them
PLAIN = {
    "DATABASE_URL": "database_url",
    "DATABASE_OWNER_URL": "database_owner_url",
    "REDIS_URL": "redis_url",
    "PORT": "port",
}
#: a menu line keeps room for its number and the price
LONGEST_NAME = 20
#: what a campaign's template may say of the operator and of the person
TEMPLATE_PLACEHOLDERS = frozenset({"operator", "code", "support", "balance"})
#: the name of an instance in the settings, as it stands in paths, logs and metrics
NAME = StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")


class SettingsError(Exception):
    """Settings that cannot be used: ``problems`` holds (setting, reason), the text lists them all."""

    def __init__(self, where: str, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        lines = [f"  {name}: {reason}" for name, reason in self.problems]
        super().__init__("\n".join([f"{where}: {len(lines)} setting(s) refused", *lines]))


class Strict(BaseModel):
    """Refuses unknown keys, so that a misspelt one is named at start instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grant(Strict):
    """What a product puts into one new bucket."""

    unit: Literal["money", "octets", "seconds", "messages"]
    #: minor units, octets, seconds or messages
    amount: int = Field(gt=0)
    #: traffic categories it may pay for; empty means all
    categories: tuple[str, ...] = ()


class Product(Strict):
    """A catalogue entry. It is valid for ``days`` calendar days: until the local midnight that ends the last one."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    #: language → name, at most 20 characters so that it fits a menu line
    name: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]]
    price: int = Field(gt=0, description="minor units")
    days: int = Field(ge=1, le=3660)
    grants: tuple[Grant, ...] = Field(min_length=1)
    #: lower is used first
    priority: int = 100


class VoucherRules(Strict):
    """How voucher numbers look and how guessing is slowed down."""

    digits: int = Field(default=14, ge=12, le=18)
    #: a recharge keeps the main balance alive for this many days
    validity_days: int = Field(default=90, ge=1)
    #: wrong numbers a line may try within ``window_hours`` before it is locked
    free_tries: int = Field(default=5, ge=1)
    window_hours: int = Field(default=24, ge=1)
    #: the first lock; each further wrong number doubles it, up to a day
    lock_minutes: int = Field(default=15, ge=1)
    #: wrong numbers on all lines within five minutes that raise an alarm
    alarm_tries: int = Field(default=200, ge=1)


class PinRules(Strict):
    """How PINs look and when they are asked for."""

    digits: int = Field(default=4, ge=4, le=8)
    tries: int = Field(default=3, ge=1)
    lock_minutes: int = Field(default=30, ge=1)
    #: money steps that ask for the PIN first, on lines that have one
    required_for: tuple[Literal["purchase", "recharge", "payment", "transfer", "advance", "setting"], ...] = ()


class LowBalance(Strict):
    """Crossing ``amount`` of ``unit`` downwards sends one alert."""

    unit: Literal["money", "octets", "seconds", "messages"]
    amount: int = Field(gt=0)


class Notifications(Strict):
    """When people may be told what they did not ask for, and how often."""

    #: local times between which what can wait does wait (a start after the end spans midnight); None: no quiet hours.
    #: Answers, security notices, receipts and low balances do not wait: see ``engine.notices.rules``
    quiet_from: time | None = None
    quiet_to: time | None = None
    #: messages of one topic to one line on one local day; answers, security notices and receipts are not counted
    per_day: int = Field(default=5, ge=1, le=1000)
    #: hours before a bucket ends that its owner hears of it; 0: never
    expiring_hours: int = Field(default=24, ge=0, le=24 * 30)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to belong together")
        return self


class TextRules(Strict):
    """Conversations by text, and how long a text may be."""

    #: a conversation by text ends when nothing has come for so long
    session_minutes: int = Field(default=10, ge=1, le=24 * 60)
    #: SMS that one answer, notice or campaign template may take
    parts: int = Field(default=2, ge=1, le=10)


class Category(Strict):
    """A kind of traffic that the network tells apart by its rating groups (TS 32.299 §7.2.155)."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    rating_groups: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = ()
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


class RenewalRules(Strict):
    """Products that renew themselves."""

    #: how long before it is paid its owner hears of it; 0: never
    notice_hours: int = Field(default=24, ge=0, le=24 * 7)
    #: after a refusal it is tried again so many hours later; after the last it is given up
    back_off_hours: tuple[Annotated[int, Field(ge=1, le=24 * 7)], ...] = (1, 6, 24)


class Policy(Strict):
    """What a regulator asks for. In the operator's file a name is a file of ``policies/`` beside it."""

    name: str = "own"
    #: percent of what a bucket was opened with whose use is told
    alert_shares: tuple[Annotated[int, Field(ge=1, le=100)], ...] = ()
    #: whether money pays for ``opt_in_units`` of lines that never said; the others it always pays for
    out_of_bundle: bool = False
    opt_in_units: tuple[Literal["octets", "seconds", "messages"], ...] = ("octets",)
    #: whether what is left of a product's bucket lives on once, as long again, for products of more than so many days
    roll_over_times: Literal[0, 1] = 0
    roll_over_above_days: int = Field(default=7, ge=0)
    #: whether people may give what they have to others
    transfers: bool = True
    #: use of a day that is so many times the usual is told; 0: never
    unusual_times: int = Field(default=0, ge=0, le=1000)


class ReconciliationRules(Strict):
    """How gateways' statements are matched with the books."""

    #: what becomes of money that a gateway has and nobody was credited, where nothing but the credit is missing: it
    #: waits for staff (``never``), is credited once the gateway confirms it, or because the statement says so
    credit: Literal["never", "confirmed", "stated"] = "confirmed"
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
    methods: dict[Literal["mobile_money", "card", "bank"], MethodRules] = {}
    #: no payment takes an account's money above this, minor units; 0: no limit
    balance_most: int = Field(default=0, ge=0)
    #: payments of one account that may wait for an answer at the same time; 0: any number
    waiting_most: int = Field(default=0, ge=0, le=100)


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


class DemoSubscriber(Strict):
    """A line that the demo creates, with what it has in its main bucket."""

    #: E.164
    msisdn: str = Field(pattern=r"^\+[1-9][0-9]{6,14}$")
    #: ITU-T E.212: MCC, MNC and MSIN
    imsi: str = Field(pattern=r"^[0-9]{14,15}$")
    language: str
    pin: str = Field(pattern=r"^[0-9]+$")
    #: minor units
    balance: int = Field(ge=0)
    #: codes of what it has bought, beside that balance
    products: tuple[str, ...] = ()


class Demo(Strict):
    """What ``manage.py demo`` puts into a fresh database; nothing else reads it."""

    subscribers: tuple[DemoSubscriber, ...] = ()
    #: face values of the vouchers made at every start, minor units
    vouchers: tuple[int, ...] = ()


def _known_country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{code} has no numbering plan: an ISO 3166 code such as KE is meant")
    return code


def _known_currency(code: str) -> str:
    if code not in get_global("all_currencies"):
        raise ValueError(f"{code} is no currency of ISO 4217")
    return code


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name} is no time zone of the IANA database") from None
    return name


class Operator(Strict):
    """The operator's own file: who they are, what they sell, in which languages."""

    name: str
    #: ISO 3166 alpha-2: numbers are read in this country and must belong to it
    country: Annotated[str, AfterValidator(_known_country)] = Field(pattern=r"^[A-Z]{2}$")
    #: ISO 4217
    currency: Annotated[str, AfterValidator(_known_currency)] = Field(pattern=r"^[A-Z]{3}$")
    #: IANA name: promised midnights are this zone's
    timezone: Annotated[str, AfterValidator(_known_timezone)]
    #: what people dial, without ``*`` and ``#``: "123"
    service_code: str = Field(pattern=r"^[0-9]+(\*[0-9]+)*$")
    #: first one is the default
    languages: tuple[Literal["en", "fr", "sw", "ar"], ...] = Field(min_length=1)
    #: alphanumeric or short code that texts come from
    sender: str = Field(max_length=11)
    support_number: str
    products: tuple[Product, ...]
    vouchers: VoucherRules = VoucherRules()
    pins: PinRules = PinRules()
    low_balance: tuple[LowBalance, ...] = ()
    categories: tuple[Category, ...] = ()
    rates: tuple[Rate, ...] = ()
    quota: QuotaRules = QuotaRules()
    transfers: tuple[TransferRules, ...] = ()
    advances: AdvanceRules | None = None
    renewals: RenewalRules = RenewalRules()
    reconciliation: ReconciliationRules = ReconciliationRules()
    payments: PaymentRules = PaymentRules()
    fraud: FraudRules = FraudRules()
    #: a bill of a postpaid account is due so many local days after its period
    bill_due_days: int = Field(default=14, ge=1, le=365)
    policy: Policy = Policy()
    notifications: Notifications = Notifications()
    texts: TextRules = TextRules()
    #: name → language → text of a campaign; may say {operator}, {code}, {support} and {balance}
    templates: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")], dict[str, str]] = {}
    demo: Demo = Demo()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = [
            *_product_problems(self),
            *_charging_problems(self),
            *_template_problems(self),
            *_demo_problems(self),
        ]
        if problems:
            raise SettingsError("operator", problems)
        return self


def _product_problems(operator: Operator) -> list[tuple[str, str]]:
    counts = Counter(product.code for product in operator.products)
    problems = [("products", f"code {code} is used {count} times") for code, count in counts.items() if count > 1]
    for product in operator.products:
        where = f"products.{product.code}.name"
        problems += [
            (where, f"no name in {language}") for language in operator.languages if language not in product.name
        ]
        problems += [
            (where, f"{name} is not among languages") for name in product.name if name not in operator.languages
        ]
    return problems


def _charging_problems(operator: Operator) -> list[tuple[str, str]]:
    """Each code and rating group once, and no category that nobody declared."""
    named: dict[str, list[str] | list[int]] = {
        "categories": [one.code for one in operator.categories],
        "rates": [one.code for one in operator.rates],
        "transfers": [str(one.unit) for one in operator.transfers],
        "categories.rating_groups": [group for one in operator.categories for group in one.rating_groups],
    }
    problems = [
        (where, f"{name} is used {count} times")
        for where, names in named.items()
        for name, count in Counter(names).items()
        if count > 1
    ]
    known = {one.code for one in operator.categories}
    problems += [
        (f"rates.{rate.code}.category", f"no category {rate.category}")
        for rate in operator.rates
        if rate.category is not None and rate.category not in known
    ]
    return problems + [
        (f"products.{product.code}.grants", f"no category {category}")
        for product in operator.products
        for grant in product.grants
        for category in grant.categories
        if known and category not in known
    ]


def _template_problems(operator: Operator) -> list[tuple[str, str]]:
    """Languages and placeholders; how long a template may be is known where texts are counted."""
    problems = []
    for name, said in operator.templates.items():
        where = f"templates.{name}"
        problems += [(where, f"no text in {language}") for language in operator.languages if not said.get(language)]
        problems += [(where, f"{language} is not among languages") for language in said.keys() - {*operator.languages}]
        for language, text in said.items():
            problems += [(f"{where}.{language}", reason) for reason in _placeholder_problems(text)]
    return problems


def _placeholder_problems(text: str) -> list[str]:
    try:
        fields = [
            (field, spec, conversion) for _, field, spec, conversion in Formatter().parse(text) if field is not None
        ]
    except ValueError as error:
        return [f"{error}: a brace that is meant is written twice"]
    return [
        f"no such placeholder: {{{field}}}"
        for field, spec, conversion in fields
        if field not in TEMPLATE_PLACEHOLDERS or spec or conversion
    ]


def _demo_problems(operator: Operator) -> list[tuple[str, str]]:
    lines = operator.demo.subscribers
    problems = [
        ("demo.subscribers", f"the same {field} twice")
        for field in ("msisdn", "imsi")
        if len({getattr(line, field) for line in lines}) < len(lines)
    ]
    for place, line in enumerate(lines):
        where = f"demo.subscribers.{place}"
        if not _mobile_of(line.msisdn, operator.country):
            problems.append((f"{where}.msisdn", f"no mobile number of {operator.country}"))
        if line.language not in operator.languages:
            problems.append((f"{where}.language", f"{line.language} is not among languages"))
        on_sale = {product.code for product in operator.products}
        problems += [(f"{where}.products", f"no such product: {code}") for code in line.products if code not in on_sale]
        if len(line.pin) != operator.pins.digits:
            problems.append((f"{where}.pin", f"must have {operator.pins.digits} digits"))
    problems += [("demo.vouchers", "a face value must be above 0") for value in operator.demo.vouchers if value <= 0]
    return problems


def _mobile_of(msisdn: str, country: str) -> bool:
    try:
        number = phonenumbers.parse(msisdn)
    except phonenumbers.NumberParseException:
        return False
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.is_valid_number_for_region(number, country) and phonenumbers.number_type(number) in mobile


class GatewaySettings(Strict):
    """One USSD gateway that may call ``POST /ussd/{name}``."""

    #: folder under ``channels/ussd/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: how much a screen holds in GSM 03.38 septets, and in UCS-2 units when a text needs them (3GPP TS 23.038)
    septets: int = Field(default=182, ge=40, le=182)
    ucs2: int = Field(default=80, ge=20, le=91)
    #: a path segment only the gateway knows: ``POST /ussd/{name}/{secret_path}``; empty means none
    secret_path: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", repr=False)
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    #: what people dial on this gateway, where it is not the operator's own code; without ``*`` and ``#``
    service_code: str = Field(default="", pattern=r"^([0-9]+(\*[0-9]+)*)?$")
    #: what the adapter wants to know; see its ``Options``
    options: dict[str, str | int | bool] = Field(default={}, repr=False)
    #: the gateway gives up after this; the answer leaves before
    deadline_seconds: float = Field(default=8.0, gt=0, le=60)


class CarrierSettings(Strict):
    """One carrier that texts go out through, and that may call ``POST /sms/{name}``."""

    #: folder under ``channels/sms/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: what the adapter wants to know; see its ``Options``
    options: dict[str, str | int | bool] = Field(default={}, repr=False)
    #: what it speaks: ordinary texts, or WhatsApp to the same numbers
    channel: Literal["sms", "whatsapp"] = "sms"
    #: beginnings of the numbers it serves, E.164 with or without ``+``; "" serves all. The longest one that fits wins;
    #: with none at all the carrier brings texts in and takes none out
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]*$")], ...] = ("",)
    #: of carriers whose prefixes fit equally well the cheapest goes first; any unit
    cost: int = Field(default=0, ge=0)
    #: texts a second, all processes together
    per_second: float = Field(default=20.0, gt=0, le=100_000)
    #: texts on their way at a time from one process; None: enough for ``per_second`` at 200 ms each
    window: int | None = Field(default=None, ge=1, le=10_000)
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    #: a path segment only the carrier knows: ``POST /sms/{name}/{secret_path}``; empty means none
    secret_path: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", repr=False)


class PaymentGatewaySettings(Strict):
    """One payment gateway, and who may call ``POST /payments/{name}/callback`` for it."""

    #: folder under ``engine/recharge/gateways/``
    adapter: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: what the adapter wants to know, its secrets among them; see its ``Options``
    options: dict[str, str | int | bool | tuple[str, ...]] = Field(default={}, repr=False)
    #: what is paid through it; none: all that the adapter serves
    methods: tuple[Literal["mobile_money", "card", "bank"], ...] = ()
    #: beginnings of the payers' numbers that it serves, E.164 with or without ``+``; "" serves all; the longest wins
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]*$")], ...] = ("",)
    #: of gateways that fit equally well the cheapest goes first; any unit
    cost: int = Field(default=0, ge=0)
    #: seconds for one call; what takes longer is unknown
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    #: where this gateway reaches us, ``https://host``, if it is not ``public_url``
    callback_base: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: addresses that may call; empty means all
    allow: tuple[IPvAnyNetwork, ...] = ()
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()


class TelegramSettings(Strict):
    """The bot that people write to."""

    #: BotFather's token
    token: str = Field(min_length=1, repr=False)
    #: ``polling``: bot.py asks Telegram; ``webhook``: Telegram calls ``POST /telegram/webhook`` of the server
    mode: Literal["polling", "webhook"] = "polling"
    #: what Telegram sends as ``X-Telegram-Bot-Api-Secret-Token`` (Bot API, setWebhook): 1 to 256 of A-Z a-z 0-9 _ -
    secret_token: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,256}$", repr=False)
    #: the Bot API server
    base_url: str = Field(default="https://api.telegram.org", pattern=r"^https?://[^\s]+$")
    #: where that server reaches ours, ``https://host``; empty: at the installation's ``public_url``
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: ``base_url`` is the Bot API server of ``sandbox/bot_api``: the simulator's page shows its chats
    sandbox: bool = False

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.mode == "webhook" and not self.secret_token:
            raise ValueError("a webhook needs a secret_token: anybody could call it")
        return self


#: what a client of the interfaces for other systems may do: charge sessions (Nchf), read balances, change them, report
#: and read usage, subscribe to events
Right = Literal["charging", "balances", "topup", "usage", "events"]


class WebhookSettings(Strict):
    """Whom events may be sent to. Without anything here: any public https address."""

    #: hosts by name, and networks, that may be called although they are private, by http too: ``crm.internal``,
    #: ``10.1.0.0/16``
    allow: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:/_-]{1,255}$")], ...] = ()

    @field_validator("allow")
    @classmethod
    def _hosts_or_networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for one in allow:
            if "/" in one or ":" in one:
                ip_network(one)
        return allow


class ApiKeySettings(Strict):
    """A client of the interfaces for other systems. Its key itself is nowhere here."""

    #: SHA-256 of the key, in hexadecimal
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    rights: frozenset[Right] = frozenset()


class RadiusClient(Strict):
    """One access server, or a proxy before several, that reports what sessions used (RFC 2866)."""

    #: where its packets come from; of networks that hold an address the smallest counts
    addresses: tuple[IPvAnyNetwork, ...] = Field(min_length=1)
    #: what both sides know; RFC 2865 §3 wants at least 16 octets
    secret: str = Field(min_length=1, max_length=253, repr=False)
    #: attribute → what it holds, in the order in which they are tried: whose session it is
    line_from: dict[
        Literal["3GPP-IMSI", "Chargeable-User-Identity", "Calling-Station-Id", "User-Name"], Literal["msisdn", "imsi"]
    ] = Field(
        default={
            "3GPP-IMSI": "imsi",
            "Chargeable-User-Identity": "msisdn",
            "Calling-Station-Id": "msisdn",
            "User-Name": "msisdn",
        },
        min_length=1,
    )
    #: what its traffic is rated as: one of the operator's rating groups
    rating_group: int = Field(default=0, ge=0, le=2**31 - 1)
    #: what is charged: its octets, or the seconds of its sessions
    unit: Literal["octets", "seconds"] = "octets"
    #: it counts as input what the person receives, against RFC 2866 §5.3
    swapped: bool = False
    #: where it takes CoA and Disconnect requests (RFC 5176); 0: nowhere
    coa_port: int = Field(default=3799, ge=0, le=65535)
    #: the Filter-Id that a CoA request names when there is something left, and when not; empty: Disconnect instead
    filter_active: str = Field(default="rasid-active", max_length=253)
    filter_exhausted: str = Field(default="rasid-exhausted", max_length=253)

    @property
    def secret_bytes(self) -> bytes:
        """The secret as it is hashed."""
        return self.secret.encode()


class RadiusSettings(Strict):
    """The RADIUS accounting server (RFC 2866), a part of ``ussd_server.py``."""

    #: address and UDP port that it binds; port 0 takes any that is free
    host: str = "0.0.0.0"  # noqa: S104 - access servers send from outside; ``clients`` says which
    port: int = Field(default=1813, ge=0, le=65535)
    #: name in logs and metrics → who reports
    clients: dict[Annotated[str, NAME], RadiusClient] = Field(min_length=1)


class DiameterPeer(Strict):
    """A packet gateway or a Diameter agent that connects to us."""

    #: where it connects from; empty: anywhere
    addresses: tuple[IPvAnyNetwork, ...] = ()
    #: what its traffic is rated as where a request names no Rating-Group
    rating_group: int = Field(default=0, ge=0, le=2**31 - 1)


class PortalSettings(Strict):
    """The self-care portal at ``/portal``. Its cookies go by https alone where ``public_url`` is https."""

    #: proxies of ours whose ``X-Forwarded-For`` is believed when sign-ins are counted by address
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()


#: a DiameterIdentity (RFC 6733 §4.3.1): a fully qualified domain name
Identity = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?$")]


class DiameterSettings(Strict):
    """The online charging server for Gy (RFC 8506, TS 32.299), a part of ``ussd_server.py``."""

    #: address and TCP port that it binds; port 0 takes any that is free
    host: str = "0.0.0.0"  # noqa: S104 - peers connect from outside; ``peers`` says which
    port: int = Field(default=3868, ge=0, le=65535)
    #: who we are
    origin_host: Identity
    origin_realm: Identity
    #: Origin-Host → who may connect; ``*`` is whoever is not named
    peers: dict[Identity | Literal["*"], DiameterPeer] = Field(min_length=1)
    #: seconds of silence after which a peer is asked whether it is there (RFC 3539 §3.4.1: Tw)
    watchdog_seconds: float = Field(default=30.0, ge=0.1, le=600)
    #: what the network does with a session while no server answers it (RFC 8506 §8.14)
    failure_handling: Literal["terminate", "continue", "retry_and_terminate"] = "terminate"

    def peer(self, origin_host: str) -> DiameterPeer | None:
        """What is set for a peer; None if it may not connect."""
        return self.peers.get(origin_host, self.peers.get("*"))


USAGE_FIELD = r"^(msisdn|imsi|session|rating_group|category|uplink|downlink|seconds|messages|start|end)$"


class UsageFolder(Strict):
    """Where a collection point puts its files of usage records."""

    path: Path
    #: whose names its sessions have: sessions of ``nchf``, ``diameter`` and ``radius`` are compared with what was
    #: charged online, and not charged again
    interface: Annotated[str, NAME] = "files"
    #: field → what this collection point calls it: ``{ session = "chargingId", uplink = "dataVolumeUplink" }``
    columns: dict[Annotated[str, StringConstraints(pattern=USAGE_FIELD)], str] = {}


#: the bot among those who carry messages: in routes, in metrics, and in what people ask for
CHAT = "telegram"

#: the books that may live in a database of their own; billing decides, so it is in ``database_url``
MOVABLE_BOOKS = ("receivables", "history", "provisioning")

#: where nothing is set: texts appear on the simulator's phone
SIMULATOR_ONLY = {"simulator": CarrierSettings(adapter="simulator", per_second=2000.0)}


def _a_key(value: str) -> str:
    try:
        size = len(bytes.fromhex(value))
    except ValueError:
        size = 0
    if size != 32 or len(value) != 64:
        raise ValueError("a master key is 64 hexadecimal digits (32 bytes)")
    return value


def _postgres_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return url


def _movable_book(name: str) -> str:
    if name not in MOVABLE_BOOKS:
        raise ValueError(f"no book that can live elsewhere; these can: {', '.join(MOVABLE_BOOKS)}")
    return name


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return url


BookName = Annotated[str, AfterValidator(_movable_book)]


class Settings(BaseSettings):
    """The settings of one installation. Made by ``load_settings``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    #: what the servers connect with; also ``DATABASE_URL``
    database_url: Annotated[str, AfterValidator(_postgres_url)] = Field(repr=False)
    #: who owns the tables and migrates them; also ``DATABASE_OWNER_URL``; by default ``database_url``
    database_owner_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(default=None, repr=False)
    #: whom events may be sent to
    webhooks: WebhookSettings = WebhookSettings()
    #: folder that the audit chain's signed roots are exported to, outside the database and best on storage that only
    #: appends; None: a tail cut off the chain goes unseen
    audit_export: Path | None = None
    #: book → address of the database that it lives in, where that is not ``database_url``. The same for all processes;
    #: after a change ``manage.py migrate`` says who may write what
    books: dict[BookName, Annotated[str, AfterValidator(_postgres_url)]] = Field(default={}, repr=False)
    #: book → who owns the tables there; by default the address in ``books``
    book_owners: dict[BookName, Annotated[str, AfterValidator(_postgres_url)]] = Field(default={}, repr=False)
    #: also ``REDIS_URL``
    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(repr=False)
    #: address that the HTTP server binds
    host: str = "0.0.0.0"  # noqa: S104 - gateways call from outside; ``allow`` says who may
    #: also ``PORT``
    port: int = Field(default=8080, ge=1, le=65535)
    #: the operator's file
    operator: Path
    #: master keys by id; the highest id is current
    keys: dict[int, Annotated[str, AfterValidator(_a_key)]] = Field(min_length=1, repr=False)
    #: the phone at ``/simulator`` and its inbox: never on a public address
    simulator: bool = False
    #: writers of the engine in each process
    lanes: int = Field(default=2, ge=1, le=64)
    #: name in the path → gateway
    gateways: dict[Annotated[str, NAME], GatewaySettings] = {}
    #: name in the path, in routes and in metrics → who carries texts
    carriers: dict[Annotated[str, NAME], CarrierSettings] = Field(default=SIMULATOR_ONLY, min_length=1)
    #: name in the path, in routes and in metrics → who people pay through
    payment_gateways: dict[Annotated[str, NAME], PaymentGatewaySettings] = {}
    #: name of the client, as it stands in the audit trail → its key's digest and what it may do
    api_keys: dict[Annotated[str, NAME], ApiKeySettings] = {}
    telegram: TelegramSettings | None = None
    #: the self-care portal at ``/portal``; None: none
    portal: PortalSettings | None = None
    #: the accounting server; None: none
    radius: RadiusSettings | None = None
    #: the online charging server for Gy; None: none
    diameter: DiameterSettings | None = None
    #: name of the collection point → where it puts its files; ``bot.py`` watches them
    usage_folders: dict[Annotated[str, NAME], UsageFolder] = {}
    #: where others reach the server from outside, ``https://host``: for status callbacks and webhooks
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: where ``bot.py`` serves its own health and metrics; 0: nowhere (its carriers' health shows at the server)
    bot_port: int = Field(default=0, ge=0, le=65535)

    @model_validator(mode="after")
    def _webhooks_are_reachable(self) -> Self:
        if self.telegram is not None and self.telegram.mode == "webhook" and not self.telegram_url:
            raise ValueError("telegram.mode is webhook: public_url must say where Telegram reaches the server")
        return self

    @model_validator(mode="after")
    def _owners_own_books(self) -> Self:
        strangers = sorted(self.book_owners.keys() - self.books.keys())
        if strangers:
            raise ValueError(f"book_owners names {', '.join(strangers)}, which books does not")
        return self

    @field_validator("carriers")
    @classmethod
    def _carriers_are_no_chats(cls, carriers: dict[str, CarrierSettings]) -> dict[str, CarrierSettings]:
        if CHAT in carriers:
            raise ValueError(f"{CHAT} is the bot's name (telegram.token …): give this carrier another")
        return carriers

    @property
    def telegram_url(self) -> str:
        """Where Telegram reaches the server, or nothing."""
        return (self.telegram.public_url if self.telegram is not None else "") or self.public_url

    @property
    def owner_url(self) -> str:
        """Who migrates: ``database_owner_url``, or ``database_url`` where none is set."""
        return self.database_owner_url or self.database_url

    @property
    def book_owner_urls(self) -> dict[str, str]:
        """Who migrates the databases of ``books``: ``book_owners``, or the address itself where none is set."""
        return {**self.books, **self.book_owners}

    def keyring(self) -> Keyring:
        """The master keys, ready for use."""
        return Keyring({key_id: bytes.fromhex(value) for key_id, value in self.keys.items()})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - passed by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - passed by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrules what ``load_settings`` has read from the file; nothing else is looked at."""
        return env_settings, _PlainVariables(settings_cls), init_settings


class _PlainVariables(PydanticBaseSettingsSource):
    """``DATABASE_URL`` and its kin, below their ``RASID_`` twins."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - given by the base
        """One plain variable; the base class asks for this method."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Field → value of the plain variables that are set and not empty."""
        return {field: os.environ[name] for name, field in PLAIN.items() if os.environ.get(name)}


def load_settings(config: Path | str | None = None) -> Settings:
    """The installation's settings: file (``config``, else ``RASID_CONFIG``, else none) below the environment.

    Raises ``SettingsError``, which the root scripts print without a traceback.
    """
    path = config or os.environ.get(PREFIX + "CONFIG")
    where = f"settings ({path or 'environment'})"
    content = _read_toml(Path(path), where) if path else {}
    # A table in the environment replaces the file's; left to itself, pydantic-settings would mix the two.
    content = {name: value for name, value in content.items() if PREFIX + name.upper() not in os.environ}
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "CONFIG"}
    problems = [
        (name, "no such setting") for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known
    ]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(where, problems + _problems(error)) from None
    except UnreadableVariable as error:
        raise SettingsError(where, [*problems, ("environment", f"{error}: JSON is meant")]) from None
    if problems:
        raise SettingsError(where, problems)
    return settings


def load_operator(path: Path | str) -> Operator:
    """The operator's own file. Raises ``SettingsError``."""
    where = f"operator ({path})"
    content = _read_toml(Path(path), where)
    preset = content.get("policy")
    if isinstance(preset, str):
        content["policy"] = _policy(Path(path).parent, preset, where)
    try:
        return Operator.model_validate(content)
    except ValidationError as error:
        raise SettingsError(where, _problems(error)) from None
    except SettingsError as error:
        raise SettingsError(where, error.problems) from None


def _policy(folder: Path, name: str, where: str) -> dict[str, Any]:
    if not name.isidentifier():
        raise SettingsError(where, [("policy", "is the name of a file in policies/, without its ending")])
    return {"name": name} | _read_toml(folder / "policies" / f"{name}.toml", where)


def _read_toml(path: Path, where: str) -> dict[str, Any]:
    try:
        # Amounts are integers; should a fraction slip in, it must not pass as a rounded float.
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(where, [(str(path), f"cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(where, [(str(path), f"is not TOML: {error}")]) from None


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    """Each refusal by its setting's path; never the refused value, which may be a secret."""
    reasons = {"missing": "is not set", "extra_forbidden": "no such setting"}
    return [
        (
            ".".join(str(part) for part in problem["loc"]) or "settings",
            reasons.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
        )
        for problem in error.errors(include_url=False, include_input=False)
    ]
