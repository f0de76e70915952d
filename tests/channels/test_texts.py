"""Conversations by text on the real engine, Postgres and Redis: keywords, answers, silence, buttons."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import channels.sessions
import channels.text_exchange
from channels.layout import septets
from channels.text_turn import text_profile
from engine.api import Engine
from engine.words import Subscriber
from tests.channels.phone import FACE_VALUE, money
from tests.channels.texter import Texter, TextTalk

# --- one text, one answer ---


async def test_bal_tells_the_balance(texting: TextTalk, rich: Subscriber) -> None:
    shown = await Texter(texting()).text("bal")
    assert "KES 1,000.00" in shown.text
    assert shown.label == "balance.show"


async def test_a_keyword_is_understood_in_every_language_and_answered_in_the_lines_own(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    assert (await texter.text("Salio")).text.startswith("Balance: KES")
    await engine.set_language(rich, "sw")
    assert (await texter.text("BAL")).text.startswith("Salio: Ksh")


async def test_rch_with_a_voucher_number_recharges_with_one_text(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    shown = await Texter(texting()).text(f"Rch {vouchers[0][:4]}-{vouchers[0][4:]}.")
    assert shown.label == "recharge.done"
    assert shown.ends
    assert await money(engine) == FACE_VALUE


async def test_rch_alone_asks_for_the_number_and_then_for_a_yes(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting())
    asked = await texter.text("RCH")
    assert asked.label == "recharge.number"
    assert asked.secret
    assert (await texter.text(vouchers[0])).label == "recharge.confirm"
    assert await money(engine) == 0
    assert (await texter.text("1")).label == "recharge.done"
    assert await money(engine) == FACE_VALUE


async def test_a_voucher_number_without_a_keyword_is_asked_about(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting())
    assert (await texter.text(vouchers[0])).label == "recharge.confirm"
    await texter.text("bal")
    assert (await texter.text(vouchers[0])).label == "recharge.confirm", "in the middle of something else too"
    assert await money(engine) == 0
    assert (await texter.text("1")).label == "recharge.done"


async def test_a_number_that_is_no_voucher_is_told_in_the_same_text(texting: TextTalk, line: str) -> None:
    texter = Texter(texting())
    shown = await texter.text("RCH 1234")
    assert shown.text.startswith("A voucher number has 14 digits.")
    assert (await texter.text("RCH 00000000000000")).label == "recharge.refused"


async def test_the_same_voucher_texted_again_is_told_as_done(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting())
    await texter.text(f"RCH {vouchers[0]}")
    again = await texter.text(f"RCH {vouchers[0]}")
    assert again.label == "recharge.already"
    assert await money(engine) == FACE_VALUE


async def test_buy_asks_to_reply_1_and_then_buys(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    asked = await texter.text("BUY 1")
    assert asked.text.splitlines() == [
        "Buy 100 MB 1 day for KES 20.00?",
        "Reply 1 to confirm:",
        "1 Buy",
        "0 Back",
    ]
    assert await money(engine) == 100_000
    done = await texter.text("1")
    assert done.label == "bundles.done"
    assert await money(engine) == 98_000


async def test_another_number_than_1_buys_nothing(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    for typed in ("2", "yes", "11"):
        assert (await texter.text(typed)).label == "bundles.confirm"
    assert await money(engine) == 100_000


async def test_a_bundle_that_does_not_exist_shows_the_list(texting: TextTalk, rich: Subscriber) -> None:
    shown = await Texter(texting()).text("BUY 55")
    assert shown.text.splitlines()[:3] == ["No such choice.", "Bundles:", "Reply with a number:"]
    assert shown.label == "bundles.list"


async def test_help_names_the_keywords_and_leaves_the_conversation_where_it_is(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    shown = await texter.text("HELP")
    for word in ("BAL", "RCH", "BUY", "MENU", "STOP"):
        assert word in shown.text
    assert (await texter.text("1")).label == "bundles.done"


async def test_numbers_typed_back_choose_zero_goes_back_and_two_zeros_home(texting: TextTalk, line: str) -> None:
    texter = Texter(texting())
    labels = [(await texter.text(typed)).label for typed in ("MENU", "4", "1", "0", "00")]
    assert labels == ["main_menu.home", "account.home", "language.choose", "account.home", "main_menu.home"]
    assert (await texter.text("١")).label == "balance.show", "digits of any script"


# --- sessions ---


async def test_after_a_silence_a_bare_number_is_told_that_the_session_has_ended(
    texting: TextTalk, engine: Engine, rich: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    later = time.time() + 601
    monkeypatch.setattr(channels.text_exchange.time, "time", lambda: later)
    assert (await texter.text("1")).text == "That session has ended. Text MENU to begin again."
    assert await money(engine) == 100_000
    assert (await texter.text("MENU")).label == "main_menu.home"


async def test_a_number_after_the_last_word_and_one_out_of_the_blue_are_told_the_same(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    assert (await texter.text("7")).label == "notice.text_ended"
    await texter.text("BUY 1")
    await texter.text("1")
    assert (await texter.text("1")).label == "notice.text_ended"
    assert await money(engine) == 98_000


async def test_carriers_and_chats_keep_conversations_of_their_own(texting: TextTalk, rich: Subscriber) -> None:
    conversation = texting()
    one, other = Texter(conversation), Texter(conversation, app="other")
    await one.text("BUY 1")
    assert (await other.text("1")).label == "notice.text_ended"
    assert (await one.text("1")).label == "bundles.done"


async def test_what_nobody_understands_gets_a_short_help(texting: TextTalk, line: str) -> None:
    shown = await Texter(texting()).text("where is my money??")
    assert shown.text == "We did not understand that. Text BAL, RCH, BUY, MENU or HELP."


# --- shown ---


async def test_an_answer_takes_as_many_parts_as_the_operator_allows(texting: TextTalk, line: str) -> None:
    for parts, most in ((1, 160), (2, 306)):
        shown = await Texter(texting(profile=text_profile(parts)), app=f"a{parts}").text("BUY")
        assert (septets(shown.text) or 0) <= most
        assert ("98 More" in shown.text) == (parts == 1)


async def test_more_turns_the_page_and_numbers_stay(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting(profile=text_profile(1)))
    await texter.text("BUY")
    second = await texter.text("98")
    assert second.label == "bundles.list"
    assert "8 Combo week" in second.text or "98 More" in second.text
    assert (await texter.text("0")).text.startswith("Bundles:")
    assert (await texter.text("8")).label == "bundles.confirm"


async def test_options_are_given_with_the_keys_that_choose_them(texting: TextTalk, line: str) -> None:
    shown = await Texter(texting(profile=replace(text_profile(), buttons=True))).text("BAL")
    assert [(one.id, one.key) for one in shown.options] == [
        ("recharge", "1"),
        ("bundles", "2"),
        ("back", "0"),
        ("home", "00"),
    ]
    assert shown.body == "Balance: KES 0.00"
    assert "Reply" not in shown.text


async def test_a_button_of_an_older_screen_changes_nothing_and_shows_the_current_one(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    menu = await texter.text("MENU")
    bundles = await texter.text("3", on=menu.screen)
    confirm = await texter.text("1", on=bundles.screen)
    stale = await texter.text("1", on=bundles.screen)
    assert (stale.label, stale.text, stale.screen) == ("bundles.confirm", confirm.text, confirm.screen)
    assert await money(engine) == 100_000
    assert (await texter.text("1", on=confirm.screen)).label == "bundles.done"
    assert (await texter.text("1", on=confirm.screen)).label == "bundles.done", "the end is the current screen"
    assert await money(engine) == 98_000
