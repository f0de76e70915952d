"""One person on many phones: the same choices are the same operations; what is shown becomes the funnel."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from channels.hops import HopLog
from commands import dialog
from commands.dialog_funnel import heat
from commands.phones import Phone, TextPhone, UssdPhone
from commands.scratch import scratch
from dialogs.catalogue import declared
from dialogs.drawing import svg
from engine.books.tables import operation
from engine.dialogs import hops as hop_rules
from engine.dialogs.tables import dialog_hop
from settings import CHAT

#: what is chosen, on every phone alike
CHOICES = (["3", "1", "1"], ["3", "2", "1"], ["5", "1", "{other}", "20", "1"], ["2", "{voucher}", "1"])


async def test_the_same_choices_on_ussd_sms_telegram_and_the_terminal_are_the_same_operations() -> None:
    async with scratch() as made:
        opened = made.opened
        seen: list[list[tuple[str, str]]] = []
        for number, kind in enumerate(("ussd", "terminal", "sms", CHAT)):
            msisdn = f"+25471210000{number}"
            line = await opened.engine.create_line(msisdn, language="en")
            await opened.engine.create_line(f"+25471220000{number}", language="en")
            vouchers = [made.vouchers[14 + number]]
            from_ = {"{other}": f"071220000{number}", "{voucher}": vouchers[0]}
            phone: Phone
            for place, choices in enumerate(reversed(CHOICES)):
                name = f"same-{kind}-{place}"
                if kind in ("sms", CHAT):
                    phone = TextPhone(opened.text_channels.texts, "simulator" if kind == "sms" else CHAT, msisdn, name)
                else:
                    phone = UssdPhone(opened.conversation, "africastalking", msisdn, name, cumulative=kind == "ussd")
                await phone.dial()
                for typed in choices:
                    last = await phone.say(from_.get(typed, typed))
                assert last.ends, last.text
            done = sa.select(operation.c.kind, operation.c.code).where(operation.c.line_id == line.line_id)
            async with made.books.billing.connect() as connection:
                rows = (await connection.execute(done.order_by(operation.c.booked_at))).all()
            seen.append([(row.kind, row.code) for row in rows])
        assert seen[0] == seen[1] == seen[2] == seen[3]
        assert {kind for kind, _ in seen[0]} >= {"purchase", "transfer", "recharge"}


async def test_the_funnel_says_where_people_leave_and_how_long_they_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop_rules, "SILENCE", timedelta(seconds=30))
    async with scratch() as made:
        engine = made.opened.engine
        now = datetime.now(UTC)

        def shown(session: int, seconds: int, state: str, *, ends: bool = False) -> hop_rules.Hop:
            at = now - timedelta(hours=1) + timedelta(seconds=seconds)
            return hop_rules.Hop(bytes([session]) * 8, at, "africastalking", "en", state, ends)

        hops = [shown(1, 0, "main_menu.home"), shown(1, 4, "bundles.list"), shown(1, 9, "bundles.done", ends=True)]
        hops += [shown(2, 0, "main_menu.home"), shown(2, 8, "bundles.list")]
        hops += [shown(3, 0, "main_menu.home"), shown(3, 400, "main_menu.home"), shown(3, 401, "bundles.list")]
        await engine.hops.keep(hops)
        await engine.hops.keep(hops)
        uses = {use.state: use for use in await engine.hops.funnel(now - timedelta(hours=2))}
        assert (uses["main_menu.home"].shown, uses["main_menu.home"].left) == (4, 1)
        assert (uses["bundles.list"].shown, uses["bundles.list"].left) == (3, 2)
        assert (uses["bundles.done"].shown, uses["bundles.done"].left) == (1, 0)
        assert uses["main_menu.home"].seconds == 4
        assert await engine.hops.funnel(now - timedelta(hours=2), gateway="other") == []
        drawn = svg(made.opened.machine, declared(engine.operator), "en", heat(list(uses.values())))
        assert "3 shown, 67% leave, 5 s" in drawn
        assert heat([uses["bundles.list"]])["bundles.list"].left == pytest.approx(2 / 3)


async def test_a_turn_is_noted_without_anything_that_was_typed() -> None:
    async with scratch() as made:
        opened = made.opened
        log = HopLog(opened.engine, opened.keyring, 100)
        opened.conversation._meters._listeners = (log,)
        phone = UssdPhone(opened.conversation, "africastalking", "+254712345001", "noted")
        await phone.dial()
        await phone.say("2")
        await phone.say(made.vouchers[0])
        noted = list(log._waiting)
        assert [hop.state for hop in noted] == ["main_menu.home", "recharge.number", "recharge.confirm"]
        assert made.vouchers[0] not in repr(noted) and "712345001" not in repr(noted)
        await log.flush()
        assert not log._waiting
        async with made.books.billing.connect() as connection:
            assert (await connection.execute(sa.select(sa.func.count()).select_from(dialog_hop))).scalar_one() == 3


def test_a_script_dials_and_plays_the_dialogs_in_the_terminal() -> None:
    script = "*123*1#\n/again\n*456#\n*123#\n1\n/quit\n"
    done = CliRunner().invoke(dialog.app, ["play", "--by", "sms"], input=script)
    assert done.exit_code == 0, done.output
    shown = re.findall(r"main_menu\.home|balance\.show", done.output)
    assert shown == ["balance.show", "balance.show", "main_menu.home", "balance.show"]
    assert "*456# is not this service: *123# is" in done.output


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        (["--gateway", "aggregator"], "there is no adapter 'aggregator'"),
        (["--gateway", "centre", "--adapter", "smpp"], "nobody can call as smpp: bot.py connects to it"),
        (["--gateway", "aggregator", "--file", "/nowhere/aggregator.toml"], "/nowhere/aggregator.toml cannot be read"),
    ],
)
def test_a_gateway_that_nobody_can_speak_as_is_refused_in_a_sentence(gateway: list[str], why: str) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(dialog.app, ["play", "--url", "http://127.0.0.1:9", *gateway])
    assert done.exit_code == 2
    assert why in done.output
