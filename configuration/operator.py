"""The operator's own file as a whole: who they are, what they sell, in which languages."""

from __future__ import annotations

from collections import Counter
from string import Formatter
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import phonenumbers
from babel.core import get_global
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from configuration.base import SettingsError, Strict
from configuration.catalogue import LowBalance, Notifications, PinRules, Product, TextRules, VoucherRules
from configuration.charging import (
    AdvanceRules,
    Category,
    FairUse,
    Policy,
    QuotaRules,
    Rate,
    RenewalRules,
    TransferRules,
)
from configuration.dialogs import DialogRules
from configuration.paying import FraudRules, PaymentRules, ReconciliationRules
from configuration.sessions import SessionRules, ShortcutCode, Way
from configuration.staff import StaffRules

#: what a campaign's template may say of the operator and of the person
TEMPLATE_PLACEHOLDERS = frozenset({"operator", "code", "support", "balance"})

#: what may change in the file of a running installation (``Operator.adopt``); all else holds from the next start on
LIVE = (
    "products",
    "dialogs",
    "sessions",
    "shortcuts",
    "payments",
    "transfers",
    "advances",
    "low_balance",
    "templates",
    "support_number",
)


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
    languages: tuple[Literal["en", "fr", "sw", "ar", "pt", "ha"], ...] = Field(min_length=1)
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
    #: of several steps that hold the last one counts
    fair_use: tuple[FairUse, ...] = ()
    transfers: tuple[TransferRules, ...] = ()
    advances: AdvanceRules | None = None
    renewals: RenewalRules = RenewalRules()
    reconciliation: ReconciliationRules = ReconciliationRules()
    payments: PaymentRules = PaymentRules()
    fraud: FraudRules = FraudRules()
    staff: StaffRules = StaffRules()
    #: a bill of a postpaid account is due so many local days after its period
    bill_due_days: int = Field(default=14, ge=1, le=365)
    policy: Policy = Policy()
    notifications: Notifications = Notifications()
    texts: TextRules = TextRules()
    dialogs: DialogRules = DialogRules()
    sessions: SessionRules = SessionRules()
    #: published codes, dialled behind the service code → the way they stand for, whatever menus look like
    shortcuts: dict[ShortcutCode, Way] = Field(default={})
    #: name → language → text of a campaign; may say {operator}, {code}, {support} and {balance}
    templates: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")], dict[str, str]] = Field(default={})
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

    def merged(self, newer: Self) -> Self:
        """This operator with what ``newer`` has of what may change while it is served (``LIVE``)."""
        return self.model_copy(update={name: getattr(newer, name) for name in LIVE})

    def adopt(self, newer: Self) -> None:
        """Become ``merged(newer)``, for all who hold this object: the operator of a process is one object."""
        self.__dict__.update({name: getattr(newer, name) for name in LIVE})

    def fixed_changes(self, newer: Self) -> tuple[str, ...]:
        """What differs in ``newer`` and holds only from the next start on."""
        names = (name for name in type(self).model_fields if name not in LIVE)
        return tuple(name for name in names if getattr(self, name) != getattr(newer, name))


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
