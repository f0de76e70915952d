"""Gateways by data file: what comes with the product, and what a file may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels.turn import Event, Reply, Turn
from channels.ussd.adapters import SPELLINGS, load, shipped
from channels.ussd.contract import Adapter, Request, SessionEnd
from channels.ussd.spelled.spelling import read_spelling
from channels.ussd.voices import load_voice
from configuration.options import WrongOptions
from tests.channels.ussd.table import holds, request, table

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in SPELLINGS.glob("*.toml"))
OWN = """
title = "Own"
source = "nobody"
session_seconds = 60
body = "query"
methods = ["GET"]
[request]
session = "id"
number = "who"
text = "what"
sequence = "n"
code = "code"
event = { field = "op", new = ["begin"], resume = ["go"], close = ["end", "lost"] }
dialled = true
[answer]
format = "text"
text = { continues = "CON $text", ends = "END $text" }
headers = { X-State = "$label", X-Flow = { continues = "FC", ends = "FB" } }
"""


def adapter(name: str) -> Adapter:
    return load(name)(name, "123", {})


def own(folder: Path, words: str = OWN) -> Adapter:
    file = folder / "own.toml"
    file.write_text(words, encoding="utf-8")
    options = {"file": str(file)}
    return load("spelled", options)("own", "123", options)


@pytest.mark.parametrize("case", table(HERE / "arkesel.json"))
def test_arkesel_is_read_as_sent_or_refused_by_field_and_reason(case: dict[str, Any]) -> None:
    holds(adapter("arkesel"), case, request(case))


@pytest.mark.parametrize("case", table(HERE / "nalo.json"))
def test_nalo_is_read_as_sent_or_refused_by_field_and_reason(case: dict[str, Any]) -> None:
    holds(adapter("nalo"), case, request(case))


def test_arkesel_is_answered_with_what_it_sent_and_whether_to_go_on() -> None:
    case = json.loads((HERE / "arkesel.json").read_text(encoding="utf-8"))[0]
    turn = adapter("arkesel").read(request(case))
    assert isinstance(turn, Turn)
    said = {"sessionID": "s1", "userID": "USSD_1", "msisdn": "233244123456"}
    going = json.loads(adapter("arkesel").write(Reply(text="1 Balance", ends=False), turn).body)
    assert going == said | {"message": "1 Balance", "continueSession": True}
    over = json.loads(adapter("arkesel").write(Reply(text="Bye", ends=True), turn).body)
    assert over == said | {"message": "Bye", "continueSession": False}


def test_nalo_is_answered_with_its_user_and_keeps_open_by_true() -> None:
    case = json.loads((HERE / "nalo.json").read_text(encoding="utf-8"))[1]
    turn = adapter("nalo").read(request(case))
    assert isinstance(turn, Turn)
    answer = json.loads(adapter("nalo").write(Reply(text="1 Balance", ends=False), turn).body)
    assert answer == {"USERID": "NALOTest", "MSISDN": "233244123456", "MSG": "1 Balance", "MSGTYPE": True}


def test_nalos_screens_hold_120_whatever_the_settings_allow() -> None:
    assert load("nalo").most_septets == 120


def test_what_a_screen_says_is_never_taken_for_a_variable() -> None:
    case = json.loads((HERE / "arkesel.json").read_text(encoding="utf-8"))[0]
    turn = adapter("arkesel").read(request(case))
    assert isinstance(turn, Turn)
    answer = json.loads(adapter("arkesel").write(Reply(text="$number $nothing", ends=False), turn).body)
    assert answer["message"] == "$number $nothing"


@pytest.mark.parametrize("name", NAMES)
def test_every_data_file_reads_its_own_voice_and_is_understood_by_it(name: str) -> None:
    gateway, voice = adapter(name), load_voice(name, {})("s1", "+254712345678", "123")
    calls = [(voice.dial, Event.NEW, ""), (lambda: voice.dial("2*50"), Event.NEW, "2*50")]
    calls.append((lambda: voice.say("7"), Event.RESUME, "7"))
    for make, event, text in calls:
        call = make()
        query = "&".join(f"{key}={value}".replace("*", "%2A").replace("#", "%23") for key, value in call.query.items())
        turn = gateway.read(Request(call.body, method=call.method, query=query))
        assert isinstance(turn, Turn)
        assert turn.event is event or turn.cumulative
        assert turn.text.endswith(text)
        for ends in (False, True):
            written = gateway.write(Reply(text="A\n1 B", ends=ends), turn)
            assert voice.hear(written.headers, written.body) == ("A\n1 B", ends)


def test_an_operators_own_file_makes_a_gateway(tmp_path: Path) -> None:
    gateway = own(tmp_path)
    turn = gateway.read(Request(method="GET", query="id=a&who=254712345678&what=*77*2%23&op=begin&n=1&code=77"))
    assert isinstance(turn, Turn)
    assert (turn.text, turn.sequence, turn.event, turn.service_code) == ("2", "1", Event.NEW, "*77#")
    answer = gateway.write(Reply(text="Bye", ends=True, label="done"), turn)
    assert (answer.body, answer.content_type) == (b"END Bye", "text/plain")
    assert answer.headers == {"X-State": "done", "X-Flow": "FB"}
    ended = gateway.read(Request(method="GET", query="id=a&who=254712345678&op=lost"))
    assert isinstance(ended, SessionEnd)
    assert (ended.outcome, gateway.outcomes) == ("lost", {"end", "lost"})
    assert gateway.write_event(ended).body == b"END "


@pytest.mark.parametrize(
    ("find", "put", "named"),
    [
        ('text = "what"', "", "request.text"),
        ('title = "Own"', 'titel = "Own"', "titel"),
        ("session_seconds = 60", "session_seconds = 5", "session_seconds"),
        ('resume = ["go"]', 'resume = ["BEGIN"]', "a value has two meanings"),
        ("$label", "$lable", "nothing is known as $lable"),
        ("event = {", "evenr = {", "evenr"),
        ('"query"', '"xml"', "body"),
        ('"END $text" }', '"END $text"', "not TOML"),
        ('{ continues = "CON $text", ends = "END $text" }', '"hello"', "does not say $text"),
    ],
)
def test_a_wrong_file_is_refused_by_the_place_of_what_is_wrong(tmp_path: Path, find: str, put: str, named: str) -> None:
    assert find in OWN
    with pytest.raises(WrongOptions) as refused:
        own(tmp_path, OWN.replace(find, put))
    assert named in str(refused.value.problems)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongOptions, match=r"none\.toml"):
        read_spelling(tmp_path / "none.toml")
    with pytest.raises(WrongOptions, match="is not set"):
        load("spelled", {})


def test_everything_that_is_shipped_can_be_spoken_to() -> None:
    assert {"arkesel", "nalo", "hubtel", "infobip", "junebug", "africastalking"} <= {*shipped()}
    for name in shipped():
        if name != "smpp":
            assert load_voice(name, {})("s1", "+254712345678", "123").dial().method in {"GET", "POST"}
