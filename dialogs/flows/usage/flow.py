"""My usage: what was used today, why balances went down, how long they last; and the switches beside them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dialogs.flows.usage.switches import consent_name, switch_states
from dialogs.names import find_product, product_name
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import LastDay, Names, Quantity, Text, counted, lines, text
from dialogs.words import Choose, Context, Data, Dialog, Item, Link, Menu
from engine.words import Deduction, Meter, Outlook, Unit
from settings import Operator

#: deductions that one screen tells of, the latest first
TOLD = 5
#: what people call the kinds of operations that take something
_KINDS = {
    "session": text("Used"),
    "usage": text("Used"),
    "charge": text("Used"),
    "purchase": text("Bundle"),
    "renew": text("Renewal"),
    "transfer": text("Sent"),
    "expire": text("Expired"),
    "undo": text("Taken back"),
    "taken_back": text("Taken back"),
}
OTHER = text("Correction")


def usage(operator: Operator) -> Dialog:
    """Reading is open to every line; what is switched is confirmed."""
    return Dialog(name="usage", states=(_home(operator), _why(operator), _outlook(operator), *switch_states(operator)))


def _home(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """What was used today, and whether more may be used than was bought."""
        rules = await context.engine.usage.spending_rules(context.subscriber)
        return {"meters": [one for one in rules.meters if one.today], "out_of_bundle": rules.out_of_bundle}

    def show(data: Data) -> Text:
        """A line for each unit that anything was used of."""
        used = [text("{amount}", amount=Quantity(one.unit, one.today, operator.currency)) for one in data["meters"]]
        return lines(text("Used today:"), *used) if used else text("Nothing used today.")

    def items(data: Data) -> tuple[Item, ...]:
        """Questions first, then what can be changed."""
        consent = {"allowed": not data["out_of_bundle"]}
        return (
            Item("why", text("Why did it go down?"), {}, "usage.why"),
            Item("outlook", text("How long will it last?"), {}, "usage.outlook"),
            Item("limits", text("My limits"), {}, "usage.limits"),
            Item("renewals", text("Renewals"), {}, "usage.renewals"),
            Item("consent", consent_name(consent), consent, "usage.consent_pin"),
        )

    most = money_sample(operator).amount
    meters = [
        Meter(unit=unit, today=most, day_cap=None, this_month=most, month_cap=None, usual=0)
        for unit in (Unit.MESSAGES, Unit.MONEY, Unit.OCTETS, Unit.SECONDS)
    ]
    return Choose(
        name="usage.home",
        text=show,
        load=load,
        items=items,
        keeps="asked",
        to="usage.why",
        also=("usage.outlook", "usage.limits", "usage.renewals", "usage.consent_pin"),
        samples=({"meters": meters, "out_of_bundle": True}, {"meters": [], "out_of_bundle": False}),
    )


def _why(operator: Operator) -> Menu:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """The latest deductions."""
        return {"deductions": await context.engine.explain_usage(context.subscriber, most=TOLD)}

    def show(data: Data) -> Text:
        """A line for each."""
        told = [_deduction(operator, one) for one in data["deductions"]]
        return lines(*told) if told else text("Nothing went down in the last 7 days.")

    most = money_sample(operator).amount
    sample = Deduction(
        at=MOMENT,
        kind="session",
        reference=REFERENCE,
        what=max((one.code for one in operator.categories), key=len, default="internet"),
        product="airtime",
        unit=Unit.MONEY,
        amount=most,
        before=most,
        after=most,
        tariff=max((one.code for one in operator.rates), key=len, default="standard"),
    )
    bought = [replace(sample, kind="purchase", what=one.code, tariff=None) for one in operator.products]
    return Menu(
        name="usage.why",
        text=show,
        load=load,
        links=(Link("outlook", text("How long will it last?"), "usage.outlook"),),
        samples=(
            {"deductions": [sample] * TOLD},
            *({"deductions": [one] * TOLD} for one in bought),
            {"deductions": []},
        ),
    )


def _deduction(operator: Operator, one: Deduction) -> Text:
    """When, what for and by which tariff, how much of which bucket, before and after."""
    currency = operator.currency
    bought = find_product(operator.products, one.what or "")
    what = ", ".join([name for name in (one.what, one.tariff) if name]) if bought is None else Names(bought.name)
    kind = _KINDS.get(one.kind, OTHER)
    return text(
        "{time} {kind}: {amount} of {product}, {before} > {after}. Ref {reference}",
        time=LastDay(one.at),
        kind=text("{kind} ({what})", kind=kind, what=what) if what else kind,
        amount=Quantity(one.unit, one.amount, currency),
        product=product_name(operator, one.product),
        before=Quantity(one.unit, one.before, currency),
        after=Quantity(one.unit, one.after, currency),
        reference=one.reference,
    )


def _outlook(operator: Operator) -> Menu:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """How fast it was used lately."""
        return {"outlooks": await context.engine.usage.outlook(context.subscriber)}

    def show(data: Data) -> Text:
        """How long what is left lasts at that."""
        told = [line for one in data["outlooks"] for line in _lasts(operator, one)]
        return lines(*told) if told else text("You have not used anything yet.")

    longest = Outlook(
        unit=Unit.OCTETS,
        left=999_900_000_000,
        usual=1,
        days_left=9_999,
        cheaper=operator.products[0].code if operator.products else None,
        saves_percent=88 if operator.products else None,
    )
    return Menu(
        name="usage.outlook",
        text=show,
        load=load,
        links=(Link("bundles", text("Bundles"), "bundles.list"),),
        samples=({"outlooks": [longest] * 3}, {"outlooks": []}),
    )


def _lasts(operator: Operator, one: Outlook) -> list[Text]:
    left = Quantity(one.unit, one.left, operator.currency)
    if one.days_left is None:
        told = [text("{left} left.", left=left)]
    else:
        told = [
            counted(
                "{left} left: {count} day at your usual pace.",
                "{left} left: {count} days at your usual pace.",
                one.days_left,
                left=left,
            )
        ]
    if one.cheaper is not None:
        product = product_name(operator, one.cheaper)
        told.append(text("{product} is {percent}% cheaper for you.", product=product, percent=one.saves_percent))
    return told
