"""Recorded sessions as files: readable, with all that is secret masked, and played again on a scratch installation."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from channels.recording import NUMBER, OTHER, PIN, VOUCHER, RecordedHop, masked_screen
from commands.habits import RECEIVERS_MOST, Habits, Remembered
from commands.phones import Phone, Seen, TextPhone, UssdPhone
from commands.scratch import GATEWAYS, Scratch
from commands.seed import asked, give
from engine.balances.tables import AIRTIME
from engine.words import Purchase, Subscriber, Unit
from settings import CHAT

#: what stands in for what was masked, on the scratch installation
SAMPLE_PIN, STRANGE = "2580", "?"
#: numbers that one recording is played with: its own, one that is typed, those that stand for its last receivers
NUMBERS = 2 + RECEIVERS_MOST
#: what differs between two playings of the same: references, days, times, ends of numbers
DIFFERS = (
    (re.compile(r"\b[A-Z0-9]{6}\b"), "<ref>"),
    (re.compile(r"\b\d{2}/\d{2}/\d{4}\b"), "<day>"),
    (re.compile(r"\b\d{2}:\d{2}\b"), "<time>"),
    (re.compile(r"\.\.\d{4}\b"), "..<end>"),
)


class Opening(msgspec.Struct, frozen=True):
    """How the line stood when the recording began."""

    language: str = "en"
    #: minor units
    money: int = 0
    pin: bool = False
    #: codes of the products that it held, one that was held twice comes twice
    products: tuple[str, ...] = ()
    #: minor units: the face value of vouchers that are typed
    voucher: int = 5_000


def opening_of(line: Subscriber) -> Opening:
    """How a line stands now."""
    parts = Counter((one.product, one.unit) for one in line.buckets if one.product != AIRTIME)
    # What grants several units has a bucket for each.
    often = {product: max(parts[product, unit] for unit in Unit) for product, _ in parts}
    held = tuple(product for product, times in often.items() for _ in range(times))
    return Opening(line.language, line.total(Unit.MONEY), line.has_pin, held)


class Recording(msgspec.Struct, frozen=True):
    """One file."""

    line: Opening
    hops: list[RecordedHop]
    habits: Habits = Habits()


def read_recording(path: Path) -> Recording:
    """A file. Raises ``ValueError`` that names what is wrong, ``OSError``."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if not content.keys() & {"line", "hop"}:
            raise ValueError(f"{path} is no recording: it has neither line nor hop")
        hops = [_hop(one) for one in content.get("hop", [])]
        tables = {name: content.get(name, {}) for name in ("line", "habits")}
        return msgspec.convert({**tables, "hops": hops}, Recording)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no recording: {error}") from None


def _hop(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "shown": "\n".join(content["shown"])}


def write_recording(recording: Recording) -> str:
    """A file's text."""
    lines = ["# A recorded session. PINs, voucher numbers and telephone numbers are masked."]
    for table, content in (("line", recording.line), ("habits", recording.habits)):
        lines += ["", f"[{table}]"]
        lines += [f"{name} = {_toml(value)}" for name, value in msgspec.structs.asdict(content).items()]
    for hop in recording.hops:
        lines += ["", "[[hop]]"]
        for name, value in msgspec.structs.asdict(hop).items():
            if name == "shown":
                lines += ["shown = [", *(f"    {_toml(line)}," for line in str(value).split("\n")), "]"]
            else:
                lines.append(f"{name} = {_toml(value)}")
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    # Strings, whole numbers, booleans and lists of them are written alike in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)


async def play_again(
    made: Scratch, recording: Recording, name: str, msisdns: Sequence[str], before: Remembered
) -> list[RecordedHop]:
    """What the same inputs show now. ``name`` and the ``NUMBERS`` numbers must be new to the installation.

    ``before``: the installation's favourites.
    """
    engine, opening = made.opened.engine, recording.line
    own, other, *receivers = msisdns
    line = await engine.create_line(own, language=opening.language, pin=SAMPLE_PIN if opening.pin else None)
    others = [await engine.create_line(one, language=opening.language) for one in (other, *receivers)]
    before.remember(line, recording.habits, [one.line for one in others[1:]])
    await _open(made, line, opening)
    vouchers = iter(
        await made.more_vouchers(opening.voucher, sum(" ".join(hop.typed).count(VOUCHER) for hop in recording.hops))
    )
    typed_now = {PIN: SAMPLE_PIN, NUMBER: other, OTHER: STRANGE}
    phones: dict[str, Phone] = {}
    shown: list[RecordedHop] = []
    for hop in recording.hops:
        typed = [
            " ".join(next(vouchers) if word == VOUCHER else typed_now.get(word, word) for word in one.split(" "))
            for one in hop.typed
        ]
        if hop.session in phones:
            seen = await _said(phones[hop.session], typed)
        else:
            phones[hop.session] = phone = _phone(made, hop, own, f"{name}-{hop.session}")
            seen = await phone.dial("*".join(typed)) if isinstance(phone, UssdPhone) else await _said(phone, typed)
        now = {"state": seen.label, "shown": masked_screen(seen.text), "ends": seen.ends}
        shown.append(msgspec.structs.replace(hop, **now))
    return shown


async def _said(phone: Phone, typed: list[str]) -> Seen:
    seen = Seen("", ends=False)
    for one in typed or [""]:
        seen = await phone.say(one)
    return seen


def _phone(made: Scratch, hop: RecordedHop, msisdn: str, name: str) -> Phone:
    if hop.channel in ("ussd", "terminal"):
        return UssdPhone(made.opened.conversation, next(iter(GATEWAYS)), msisdn, name, cumulative=hop.channel == "ussd")
    return TextPhone(made.opened.text_channels.texts, CHAT if hop.gateway == CHAT else "simulator", msisdn, name)


async def _open(made: Scratch, line: Subscriber, opening: Opening) -> None:
    engine = made.opened.engine
    prices = {product.code: product.price for product in engine.operator.products}
    held = [code for code in opening.products if code in prices]
    await give(engine, line, "the opening balance", opening.money + sum(prices[code] for code in held))
    for number, code in enumerate(held):
        await engine.post(Purchase(**asked(line, f"opening {number} {code}"), product=code, price=prices[code]))
    # Else the first screen that sells one of them said that this was done a moment ago.
    await made.let_pass(line.account, timedelta(days=1))


def changes(before: Sequence[RecordedHop], after: Sequence[RecordedHop]) -> Iterator[str]:
    """What differs between two playings, as a diff of each hop that does; references, days and times do not count."""
    for number, (old, new) in enumerate(zip(before, after, strict=False), 1):
        one, other = _lines(old), _lines(new)
        if one != other:
            typed = " ".join(old.typed) or "dials"
            yield "\n".join(difflib.unified_diff(one, other, f"hop {number}: {typed}", "now", lineterm="", n=9))
    if len(before) != len(after):
        yield f"{len(before)} hops before, {len(after)} now"


def _lines(hop: RecordedHop) -> list[str]:
    shown = hop.shown
    for pattern, stands_for in DIFFERS:
        shown = pattern.sub(stands_for, shown)
    return [f"[{hop.state}{' ends' if hop.ends else ''}]", *shown.split("\n")]
