"""Sessions recorded in production become tests of what the dialogs say."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from channels.recording import Recorder, ask_for, fetch
from commands import dialog
from commands.dialog_record import played
from commands.habits import Habits, habits_of
from commands.phones import TextPhone, UssdPhone
from commands.recorded import Opening, Recording, changes, opening_of, read_recording, write_recording
from commands.scratch import Scratch, scratch
from commands.seed import give

RECORDINGS = Path(__file__).parent / "recordings"
LINE, OTHER, THIRD, PIN = "+254712100001", "+254712200002", "+254712200003", "8264"


async def say(made: Scratch, name: str, *typed: str) -> None:
    """One session on USSD."""
    phone = UssdPhone(made.opened.conversation, "africastalking", LINE, name)
    await phone.dial()
    for one in typed:
        await phone.say(one)


async def lived(made: Scratch) -> tuple[Opening, Habits]:
    """What the line did in the days before: it bought a bundle twice, sent money, recharged somebody by paying."""
    engine = made.opened.engine
    line = await engine.create_line(LINE, language="en", pin=PIN)
    for number in (OTHER, THIRD):
        await engine.create_line(number, language="en")
    await give(engine, line, "money", 50_000)
    await say(made, "lived-1", "3", "4", "1")
    await say(made, "lived-2", "3", "4", "1")
    await say(made, "lived-3", "5", "1", "0" + OTHER[4:], "20", "1")
    await say(made, "lived-4", "2", "3", "0" + OTHER[4:], "1", "2", "1")
    habits = Habits()
    async with asyncio.timeout(20):
        for look in itertools.count():
            await asyncio.sleep(min(look, 1) * 0.05)
            habits = await habits_of(line, engine.favourites, ())
            if habits.recharge:
                break
    await made.let_pass(line.account, timedelta(hours=1))
    await made.opened.redis.flushall()  # where the person stood is over by then
    return opening_of(await engine.subscriber(LINE)), habits


async def recorded(made: Scratch) -> Recording:
    """What a line does on USSD and by text while staff records it: all kinds of secrets are typed."""
    opened = made.opened
    recorder: Recorder = opened.recorder
    opening, habits = await lived(made)
    await ask_for(opened.redis, opened.keyring, LINE, 5)
    await recorder.step()
    await say(made, "recorded-1", "2", "1", made.vouchers[14], "1")
    await say(made, "recorded-2", "5", "1", "0" + THIRD[4:], "20", "1")
    await say(made, "recorded-4", "5", "1", "1", "30", "1")
    await say(made, "recorded-5", "3", "0", "1", "0", "2")
    texter = TextPhone(opened.text_channels.texts, "simulator", LINE, "recorded-3")
    await texter.dial()
    for typed in ("4", "2", PIN, "9153", "MENU", "2", "2", "1"):
        await texter.say(typed)
    await recorder.step()
    hops = await fetch(opened.redis, opened.keyring, LINE)
    return Recording(msgspec.structs.replace(opening, voucher=50_000), hops, habits)


async def test_a_recording_holds_no_secret_and_plays_again_unchanged(tmp_path: Path) -> None:
    async with scratch(paying=True) as made:
        recording = await recorded(made)
        voucher = made.vouchers[14]
    written = write_recording(recording)
    for secret in (PIN, "9153", voucher, OTHER[4:], THIRD[4:], LINE[4:]):
        assert secret not in written
    assert [hop.state for hop in recording.hops][1:5:3] == ["pay.home", "recharge.done"]
    assert recording.line.products == ("social_day", "social_day")
    assert recording.habits == Habits(("social_day",), 1, 10_000, for_another=True)
    for first in ("4 Again: Social 150 MB", "To ..0002", "Again: KES 100.00"):
        assert first in written
    assert recording.hops[-1].state == "pay.confirm"
    assert recording.hops[-1].shown.splitlines()[1] == "Reply 1 to confirm:", "as before any other money step"
    assert {"<pin>", "<voucher>", "<number>"} <= {typed for hop in recording.hops for typed in hop.typed}
    path = tmp_path / "session.toml"
    path.write_text(written, encoding="utf-8")
    again = read_recording(path)
    assert again == recording
    (now,) = await played([again])
    assert list(changes(again.hops, now)) == []


async def test_what_was_recorded_is_still_what_the_dialogs_say() -> None:
    recordings = {path.name: read_recording(path) for path in sorted(RECORDINGS.glob("*.toml"))}
    assert len(recordings) >= 3
    for name, hops in zip(recordings, await played(list(recordings.values())), strict=True):
        assert list(changes(recordings[name].hops, hops)) == [], f"{name}: manage.py dialog replay --update"


async def test_an_edit_of_the_operators_file_shows_as_a_difference(tmp_path: Path) -> None:
    sample = Path(__file__).resolve().parents[2] / "examples" / "kenya.toml"
    edited = tmp_path / "edited.toml"
    edited.write_text(
        sample.read_text(encoding="utf-8") + '\n[dialogs.texts.en]\n"Balance" = "What I have"\n', encoding="utf-8"
    )
    recording = read_recording(RECORDINGS / "bundle.toml")
    (now,) = await played([recording], edited)
    found = list(changes(recording.hops, now))
    assert "-1 Balance" in found[0] and "+1 What I have" in found[0]


@pytest.mark.parametrize("text", ["", "[[hop]]\n", "nonsense", '[line]\nlanguage = 5\n[[hop]]\nshown = ["x"]\n'])
def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.toml"):
        read_recording(path)


def test_a_recording_of_nothing_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text(write_recording(Recording(Opening(), [])), encoding="utf-8")
    assert read_recording(path) == Recording(Opening(), [])


def test_a_file_that_cannot_be_written_is_refused_before_anybody_is_recorded(tmp_path: Path) -> None:
    done = CliRunner().invoke(dialog.app, ["record", LINE, str(tmp_path / "nowhere" / "one.toml")])
    assert done.exit_code == 2 and "nowhere" in done.output.replace("\n", "")
