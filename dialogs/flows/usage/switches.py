"""What people decide about their own spending: limits, whether airtime pays when bundles are used up, renewals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from dialogs.asking import AMOUNT, SAMPLE_AMOUNT, amount_typed, asked_by
from dialogs.flows.pin.gate import pin_gate
from dialogs.names import product_name
from dialogs.refusals import kept_refusal, refusal_menu
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import Money, Quantity, Text, text
from dialogs.words import Ask, Choose, Confirm, Context, Data, Go, Item, Link, Say, State, Typed, Wrong
from engine.words import Answer, AutoRenew, Operation, OutOfBundle, Period, SetCap, Unit
from settings import Operator

#: what may be limited, and what each limit is called; an amount is typed in money or MB
LIMITS: dict[tuple[Unit, Period], tuple[Text, Text]] = {
    (Unit.MONEY, Period.DAY): (text("Money a day"), text("Spend {cap} a day at most?")),
    (Unit.MONEY, Period.MONTH): (text("Money a month"), text("Spend {cap} a month at most?")),
    (Unit.OCTETS, Period.DAY): (text("Data a day"), text("Use {cap} a day at most?")),
    (Unit.OCTETS, Period.MONTH): (text("Data a month"), text("Use {cap} a month at most?")),
}
NO_LIMIT = text("No limit")


def switch_states(operator: Operator) -> tuple[State, ...]:
    """Limits, consent and renewals; each is an operation, so each is confirmed and kept as evidence."""
    limits, both = _limit_samples(operator), ({"allowed": True}, {"allowed": False})
    limit = _switch("limit", operator, (_limit_detail(operator), _limit_name), _set_cap, limits)
    consent = _switch("consent", operator, (_consent_detail, consent_name), _consent, both)
    words = _renewal_detail(operator), _renewal_name(operator)
    renewal = _switch("renewal", operator, words, _auto_renew, _renewal_samples(operator))
    saved = Say(
        name="usage.saved",
        text=lambda data: text("Saved. Ref {reference}", reference=data["reference"]),
        samples=({"reference": REFERENCE},),
    )
    refused = refusal_menu("usage.refused", operator, Link("usage", text("My usage"), "usage.home"))
    asked = (_limits(operator), _limit_choice(), _limit_amount(operator), _renewals(operator))
    return (*asked, *limit, *consent, *renewal, saved, refused)


def _switch(
    name: str,
    operator: Operator,
    words: tuple[Callable[[Data], Text], Callable[[Data], Text]],
    operation: Callable[[Context, Data, UUID], Operation],
    samples: tuple[dict[str, Any], ...],
) -> tuple[State, State]:
    """The PIN gate and the confirm screen of one switch; ``words``: the question, and what it is called in short."""
    detail, brief = words

    async def result(context: Context, _data: Data, answer: Answer) -> dict[str, Any]:
        """That it is done, or why not."""
        return {"reference": answer.reference} if answer.ok else kept_refusal(context, answer)

    confirm = Confirm(
        name=f"usage.{name}",
        purpose="setting",
        text=detail,
        brief=brief,
        yes=text("Yes"),
        operation=operation,
        result=result,
        done="usage.saved",
        refused="usage.refused",
        samples=(*samples, *({**one, "done_at": MOMENT, "reference": REFERENCE} for one in samples)),
    )
    return pin_gate(f"usage.{name}_pin", "setting", confirm.name, operator), confirm


# -- limits --


def _limits(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """The limits in force."""
        rules = await context.engine.usage.spending_rules(context.subscriber)
        caps = {(one.unit, Period.DAY): one.day_cap for one in rules.meters}
        return {"caps": caps | {(one.unit, Period.MONTH): one.month_cap for one in rules.meters}}

    def items(data: Data) -> tuple[Item, ...]:
        """Each limit with what it is now."""

        def label(unit: Unit, period: Period, name: Text) -> Text:
            """A limit, with its amount where there is one."""
            cap = data["caps"].get((unit, period))
            shown = NO_LIMIT if cap is None else text("{cap}", cap=Quantity(unit, cap, operator.currency))
            return text("{name}: {cap}", name=name, cap=shown)

        return tuple(
            Item(f"{unit}-{period}", label(unit, period, name)) for (unit, period), (name, _) in LIMITS.items()
        )

    most = money_sample(operator).amount
    return Choose(
        name="usage.limits",
        text=text("My limits:"),
        load=load,
        items=items,
        keeps="limit",
        to="usage.limit_choice",
        samples=({"caps": {}}, {"caps": dict.fromkeys(LIMITS, most)}),
    )


def _limit_choice() -> Choose:
    return Choose(
        name="usage.limit_choice",
        text=_limit_name,
        items=lambda _data: (
            Item("amount", text("Set a limit"), {}, "usage.limit_amount"),
            Item("none", NO_LIMIT, {"cap": None}, "usage.limit_pin"),
        ),
        keeps="how",
        to="usage.limit_amount",
        also=("usage.limit_pin",),
        samples=tuple({"limit": f"{unit}-{period}"} for unit, period in LIMITS),
    )


def _limit(data: Data) -> tuple[Unit, Period]:
    unit, _, period = str(data["limit"]).partition("-")
    return Unit(unit), Period(period)


def _limit_amount(operator: Operator) -> Ask:
    async def accept(_context: Context, data: Data, typed: str) -> Go | Wrong:
        """In the unit of the limit that was chosen."""
        return Go("usage.limit_pin", {"cap": amount_typed(typed, _limit(data)[0], operator.currency)})

    def asked(data: Data) -> Text:
        """In the unit that people count it in."""
        if _limit(data)[0] is Unit.MONEY:
            return text("How much, in whole {currency}?", currency=operator.currency)
        return text("How many MB?")

    return Ask(
        name="usage.limit_amount",
        text=asked,
        typed=Typed(shape=AMOUNT, sample=SAMPLE_AMOUNT, accept=accept, leads=("usage.limit_pin",)),
        wrong=text("Write a whole number."),
        samples=tuple({"limit": f"{unit}-{period}"} for unit, period in LIMITS),
    )


def _limit_name(data: Data) -> Text:
    return LIMITS[_limit(data)][0]


def _limit_detail(operator: Operator) -> Callable[[Data], Text]:
    def detail(data: Data) -> Text:
        """The new limit; that there will be none is asked in words of its own."""
        name, question = LIMITS[_limit(data)]
        if data["cap"] is None:
            return text("{name}: no limit any more?", name=name)
        return Text(question.message, {"cap": Quantity(_limit(data)[0], data["cap"], operator.currency)})

    return detail


def _limit_samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    most = money_sample(operator).amount
    return tuple({"limit": f"{unit}-{period}", "cap": cap} for unit, period in LIMITS for cap in (most, None))


def _set_cap(context: Context, data: Data, key: UUID) -> SetCap:
    unit, period = _limit(data)
    return SetCap(**asked_by(context, key), unit=unit, period=period, amount=data["cap"])


# -- whether airtime pays --


def consent_name(data: Data) -> Text:
    """What the switch would do: ``allowed`` is what is wanted."""
    return text("Pay with airtime") if data["allowed"] else text("Stop paying with airtime")


def _consent_detail(data: Data) -> Text:
    if data["allowed"]:
        return text("May airtime pay when your bundles are used up? Rates without a bundle are higher.")
    return text("Shall use stop when your bundles are used up?")


def _consent(context: Context, data: Data, key: UUID) -> OutOfBundle:
    return OutOfBundle(**asked_by(context, key), allowed=data["allowed"])


# -- renewals --


def _renewals(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """What renews, and what the line holds that could."""
        renewing = [product for product, _, _ in await context.engine.agreements.renewals(context.subscriber)]
        held = {one.product for one in context.subscriber.buckets}
        others = [one.code for one in operator.products if one.code in held and one.code not in renewing]
        return {"renewing": renewing, "others": others}

    prices, named = {one.code: one.price for one in operator.products}, _renewal_name(operator)

    def items(data: Data) -> tuple[Item, ...]:
        """First what can be stopped: that is what people come for."""

        def item(code: str, *, wanted: bool) -> Item:
            """The switch of one product, with the price that its renewal costs."""
            label = named({"product": code, "wanted": wanted})
            return Item(code, label, {"wanted": wanted, "price": prices.get(code, 0)})

        stop = [item(code, wanted=False) for code in data["renewing"]]
        return (*stop, *(item(code, wanted=True) for code in data["others"]))

    codes = [one.code for one in operator.products]
    return Choose(
        name="usage.renewals",
        text=lambda data: (
            text("Renewals:") if data["renewing"] or data["others"] else text("You have no bundle to renew.")
        ),
        load=load,
        items=items,
        keeps="product",
        to="usage.renewal_pin",
        samples=({"renewing": codes, "others": []}, {"renewing": [], "others": codes}, {"renewing": [], "others": []}),
    )


def _renewal_name(operator: Operator) -> Callable[[Data], Text]:
    def name(data: Data) -> Text:
        """What would be done."""
        product = product_name(operator, data["product"])
        wanted = text("Renew {product}", product=product)
        return wanted if data["wanted"] else text("Stop renewing {product}", product=product)

    return name


def _renewal_detail(operator: Operator) -> Callable[[Data], Text]:
    def detail(data: Data) -> Text:
        """With the price where money will go without being asked again."""
        product = product_name(operator, data["product"])
        if not data["wanted"]:
            return text("No longer renew {product}?", product=product)
        price = Money(data["price"], operator.currency)
        return text("Renew {product} for {price} whenever it ends?", product=product, price=price)

    return detail


def _renewal_samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    every = operator.products
    return tuple(
        {"product": one.code, "price": one.price, "wanted": wanted} for one in every for wanted in (True, False)
    )


def _auto_renew(context: Context, data: Data, key: UUID) -> AutoRenew:
    asked = asked_by(context, key)
    return AutoRenew(**asked, product=data["product"], price=data["price"], wanted=data["wanted"])
