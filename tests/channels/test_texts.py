"""Conversations by text on the real engine, Postgres and Redis."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis

import channels.text_talk
from channels.layout import septets
from channels.sessions import SessionStore
from channels.text_turn import text_profile
from engine.api import Engine
from engine.words import LineStatus, Subscriber
from runtime.embedded.redis import EmbeddedRedis
from tests.channels.phone import FACE_VALUE, MSISDN, Phone, Talk, money
from tests.channels.test_conversation import BrokenDoor
from tests.channels.texter import Texter, TextTalk
from tests.engine.shop import credit

OTHER = "+254712345679"


@pytest.fixture
async def rich(engine: Engine, line: str) -> Subscriber:
    """A line with money for several bundles."""
    subscriber = await engine.subscriber(line)
    await credit(engine, subscriber, 100_000)
    return await engine.subscriber(line)


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
        "100 MB 1 day KES 20.00",
        "100 MB, 1 day",
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


# --- the pin ---


@pytest.fixture
def guarded(operator):
    rules = operator.pins.model_copy(update={"required_for": ("purchase", "recharge")})
    return operator.model_copy(update={"pins": rules})


async def test_the_pin_comes_before_money_where_the_operator_says_so(
    texting: TextTalk, guarded, engine: Engine, rich: Subscriber, vouchers: list[str]
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    asked = await texter.text("BUY 1")
    assert asked.label == "bundles.pin"
    assert asked.secret
    assert (await texter.text("1111")).text.startswith("Wrong PIN.")
    assert (await texter.text("2580")).label == "bundles.confirm"
    assert await money(engine) == 100_000
    await texter.text("1")
    assert await money(engine) == 98_000
    assert (await texter.text(f"RCH {vouchers[0]}")).label == "recharge.pin"
    assert await money(engine) == 98_000
    assert (await texter.text("2580")).label == "recharge.done", "the voucher number was the intent"
    assert await money(engine) == 98_000 + FACE_VALUE


async def test_who_leaves_a_recharge_for_a_bundle_is_asked_before_it_is_bought(
    texting: TextTalk, guarded, engine: Engine, rich: Subscriber, vouchers: list[str]
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    await texter.text(f"RCH {vouchers[0]}")
    labels = [(await texter.text(typed)).label for typed in ("00", "3", "1", "2580")]
    assert labels == ["main_menu.home", "bundles.list", "bundles.pin", "bundles.confirm"]
    assert await money(engine) == 100_000


# --- sessions ---


async def test_after_a_silence_a_bare_number_is_told_that_the_session_has_ended(
    texting: TextTalk, engine: Engine, rich: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    later = time.time() + 601
    monkeypatch.setattr(channels.text_talk.time, "time", lambda: later)
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


# --- once ---


async def test_a_message_that_comes_twice_is_answered_with_the_stored_answer(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    done = await texter.text("1")
    assert await texter.again() == done
    assert await money(engine) == 98_000


async def test_a_voucher_text_that_comes_again_after_redis_lost_everything_recharges_once_with_the_same_answer(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    texter = Texter(texting())
    done = await texter.text(f"RCH {vouchers[0]}")
    await redis_client.flushall()
    again = await texter.again()
    assert (again.text, again.label) == (done.text, "recharge.done")
    assert await money(engine) == FACE_VALUE


async def test_a_confirmation_repeated_after_a_failed_try_buys_once(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    broken = BrokenDoor(engine)
    broken.open.set()
    texter = Texter(texting(engine=broken))
    await texter.text("BUY 1")
    assert (await texter.text("1")).label == "notice.try_again"
    broken.broken = False
    assert (await texter.again()).label == "bundles.done"
    assert (await texter.again()).label == "bundles.done"
    assert await money(engine) == 98_000


async def test_copies_of_one_message_in_several_processes_at_once_have_one_effect_and_one_answer(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting())
    processes = [texting(), texting()]
    answers = await asyncio.gather(
        *(texter.send(f"RCH {vouchers[0]}", "same", processes[number % 2]) for number in range(8))
    )
    assert {(one.text, one.label) for one in answers} == {(answers[0].text, "recharge.done")}
    assert await money(engine) == FACE_VALUE


async def test_two_purchases_of_one_conversation_are_two(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    for _ in range(2):
        await texter.text("BUY 1")
        assert (await texter.text("1")).label == "bundles.done"
    assert await money(engine) == 96_000


async def test_without_redis_keywords_are_served_and_a_repeated_voucher_counts_once(
    *, texting: TextTalk, engine: Engine, line: str, vouchers: list[str], keyring, state_dir
) -> None:
    server = EmbeddedRedis(state_dir)
    await server.start()
    client = channels.sessions.connect(server.url)
    texter = Texter(texting(store=SessionStore(client, keyring), redis=client))
    await texter.text("BAL")
    await server.stop()
    assert (await texter.text(f"RCH {vouchers[0]}")).label == "recharge.done"
    assert (await texter.again()).label == "recharge.done"
    assert (await texter.text("1")).label == "notice.text_ended"
    assert await money(engine) == FACE_VALUE
    await client.aclose()


# --- who is answered ---


@pytest.mark.parametrize("sender", ["Safaricom", "40404", "MPESA", "", "+254", "1234567890123456"])
async def test_senders_that_are_no_telephone_numbers_are_never_answered(
    texting: TextTalk, line: str, sender: str
) -> None:
    shown = await Texter(texting(), msisdn=sender).text("BAL")
    assert shown.silent


@pytest.mark.parametrize(("sender", "label"), [(OTHER, "unknown_line"), ("+447700900123", "bad_number")])
async def test_strangers_get_one_clear_answer_and_then_silence(
    texting: TextTalk, line: str, sender: str, label: str
) -> None:
    texter = Texter(texting(), msisdn=sender)
    first = await texter.text("BAL")
    assert first.label == f"notice.{label}"
    assert "Help: 100" in first.text
    assert (await texter.text("BAL")).silent
    assert (await texter.text("MENU")).silent


async def test_a_closed_line_gets_one_answer(texting: TextTalk, engine: Engine) -> None:
    await engine.create_line(MSISDN, language="en", status=LineStatus.TERMINATED)
    texter = Texter(texting())
    assert (await texter.text("BAL")).text == "This line is closed. Help: 100"
    assert (await texter.text("BAL")).silent


async def test_a_machine_that_answers_every_text_is_soon_left_alone(texting: TextTalk, line: str) -> None:
    texter = Texter(texting())
    answers = [await texter.text("I am driving and will answer later") for _ in range(8)]
    assert [one.silent for one in answers] == [False] * 5 + [True] * 3


async def test_more_texts_than_anybody_reads_get_one_warning_and_then_silence(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting(profile=replace(text_profile(), hourly=3)))
    labels = [(await texter.text("BAL")).label for _ in range(3)]
    assert labels == ["balance.show"] * 3
    assert (await texter.text("BAL")).label == "notice.too_many"
    assert (await texter.text(f"RCH {vouchers[0]}")).silent
    assert await money(engine) == 0, "what is not answered is not done either"
    assert not (await Texter(texter.conversation, msisdn=MSISDN, app="other").text("BAL")).silent


# --- stop and start ---


async def test_stop_and_start_are_kept_and_confirmed(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    assert "Text START" in (await texter.text("Stop!")).text
    assert (await engine.preferences(rich)).opted_out
    assert (await texter.text("BAL")).label == "balance.show", "an answer is not an advertisement"
    assert "Text STOP" in (await texter.text("ANZA")).text
    assert not (await engine.preferences(rich)).opted_out


async def test_what_the_carrier_took_for_stop_is_obeyed_and_not_answered_twice(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    assert (await texter.text("cancel", opt="stop")).silent
    assert (await engine.preferences(rich)).opted_out
    assert (await texter.text("yes", opt="start")).silent
    assert not (await engine.preferences(rich)).opted_out


async def test_stop_is_obeyed_even_when_it_is_answered_no_more(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting(profile=replace(text_profile(), hourly=1)))
    for _ in range(3):
        await texter.text("BAL")
    assert (await texter.text("STOP")).silent
    assert (await engine.preferences(rich)).opted_out


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


# --- kept from everybody ---


async def test_neither_numbers_nor_pins_nor_vouchers_are_kept_or_logged(
    *,
    texting: TextTalk,
    guarded,
    engine: Engine,
    rich: Subscriber,
    vouchers: list[str],
    redis_client: Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    for typed in (f"RCH {vouchers[0]}", "2580", vouchers[1], "2580", f"what is {vouchers[2]}"):
        await texter.text(typed)
    stored = []
    for key in await redis_client.keys("*"):
        kind = await redis_client.type(key)
        stored += [key, str(await redis_client.hgetall(key)).encode() if kind == b"hash" else b""]
    everything = b"|".join(stored) + capsys.readouterr().out.encode()
    assert len(stored) >= 4
    for secret in (*vouchers[:3], "2580", MSISDN.lstrip("+")):
        assert secret.encode() not in everything


# --- one dialog, two channels ---

WALKS = {
    "a bundle": ["3", "2", "1"],
    "a voucher": ["2", "VOUCHER", "1"],
    "a voucher at the menu": ["VOUCHER", "1"],
    "a voucher that is none": ["2", "123", "00000000000000", "1", "1", "VOUCHER", "1"],
    "back and forth": ["3", "1", "0", "2", "0", "00", "1", "2", "7", "1"],
    "no such choice": ["9", "3", "44", "3", "5", "1"],
    "too dear": ["3", "3", "1", "1", "VOUCHER", "1"],
    "another language": ["4", "1", "2"],
    "a PIN": ["4", "2", "2580"],
    "quiet hours": ["4", "3", "2", "4"],
    "no news": ["4", "3", "3", "3"],
    "good-bye": ["0"],
}


@pytest.mark.parametrize("walk", list(WALKS))
async def test_the_same_conversation_by_ussd_and_by_text_walks_the_same_states_with_the_same_effects(
    talk: Talk, texting: TextTalk, engine: Engine, walk: str, vouchers: list[str]
) -> None:
    seen: list[tuple[list[str], object]] = []
    for number, (msisdn, voucher) in enumerate(((MSISDN, vouchers[0]), (OTHER, vouchers[1]))):
        subscriber = await engine.create_line(msisdn, language="en")
        await credit(engine, subscriber, 90_000)
        say: Callable
        if number == 0:
            phone = Phone(talk(), msisdn)
            labels = [(await phone.dial()).label]
            say = phone.say
        else:
            texter = Texter(texting(), msisdn)
            labels = [(await texter.text("MENU")).label]
            say = texter.text
        labels += [(await say(voucher if typed == "VOUCHER" else typed)).label for typed in WALKS[walk]]
        after = await engine.subscriber(msisdn)
        buckets = sorted((one.product, one.unit, one.amount, one.initial, str(one.expires_at)) for one in after.buckets)
        wishes = await engine.preferences(after)
        seen.append((labels, (buckets, after.language, after.has_pin, wishes)))
    assert seen[0] == seen[1]
    assert len(set(seen[0][0])) > 1


async def test_wherever_people_wander_ussd_and_text_agree(
    talk: Talk, texting: TextTalk, engine: Engine, vouchers: list[str]
) -> None:
    """Random walks with fixed seeds: the same inputs on two lines, one by USSD, one by text."""
    conversations = talk(), texting(profile=replace(text_profile(), hourly=10_000))
    bought = 0
    for seed in range(12):
        choose = random.Random(seed)
        lines = [f"+2547110000{seed:02}", f"+2547220000{seed:02}"]
        for msisdn in lines:
            await credit(engine, await engine.create_line(msisdn, language="en"), 40_000)
        phone = Phone(conversations[0], lines[0], f"walk-{seed}")
        texter = Texter(conversations[1], lines[1])
        by_ussd, by_text = await phone.dial(), await texter.text("MENU")
        for _ in range(15):
            assert by_ussd.label == by_text.label
            if by_ussd.ends:
                break
            typed = choose.choice(["1", "1", "2", "3", "3", "4", "5", "8", "0", "00", "99"])
            by_ussd, by_text = await phone.say(typed), await texter.text(typed)
        ends = [await engine.subscriber(msisdn) for msisdn in lines]
        held = [sorted((one.product, one.unit, one.amount) for one in end.buckets) for end in ends]
        assert held[0] == held[1]
        bought += len(held[0]) > 1
    assert bought > 2, "the walks must reach money"
