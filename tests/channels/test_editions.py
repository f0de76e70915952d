"""An edit of the operator's file goes live, or leaves what is running alone and says why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from channels.conversation import Conversation
from channels.editions import Editions, served
from channels.texts import TextConversation
from dialogs.said import Screen
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from runtime.keyring import Keyring
from settings import Operator, load_operator
from tests.channels.phone import MSISDN, Phone, Talk
from tests.channels.texter import Texter, TextTalk

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kenya.toml"


def anything_fits(screen: Screen, most_pages: int) -> Iterable[tuple[str, str]]:
    return ()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy = tmp_path / "operator.toml"
    copy.write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


@pytest.fixture
def operator(path: Path) -> Operator:
    """One object for the engine and all who talk, as in a process."""
    return load_operator(path)


@pytest.fixture
def texts(operator: Operator) -> Texts:
    return Texts.of(operator)


@pytest.fixture
async def engine(database_url: str, operator: Operator, keyring: Keyring) -> AsyncIterator[Engine]:
    opened = await open_engine(database_url, operator, keyring)
    yield opened
    await opened.close()


class Process(NamedTuple):
    """Who talks in one process, and who watches the file for them."""

    ussd: Conversation
    texts: TextConversation
    watching: Editions


@pytest.fixture
def process(path: Path, talk: Talk, texting: TextTalk, engine: Engine, redis_client: Redis) -> Process:
    ussd = talk()
    # As in a process: both conversations walk one machine.
    texts = texting(machine=ussd._machine)
    watching = Editions(
        path=path,
        engine=engine,
        machine=ussd._machine,
        notices=ussd._notices,
        texts=texts,
        fits=anything_fits,
        redis=redis_client,
    )
    return Process(ussd, texts, watching)


def edit(path: Path, before: str, after: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after, 1), encoding="utf-8")


async def test_an_edit_goes_live_for_menus_prices_texts_and_keywords(
    path: Path, process: Process, engine: Engine, redis_client: Redis
) -> None:
    conversation, by_text, watching = process
    await engine.create_line(MSISDN, language="en")
    phone = Phone(conversation)
    assert "3 Bundles" in (await phone.dial()).text
    assert not await watching.look()
    edit(path, 'name = { en = "100 MB 1 day"', 'name = { en = "Tiny 100 MB"')
    edit(path, "price = 2_000 ", "price = 1_900 ")
    with path.open("a", encoding="utf-8") as file:
        file.write('\n[dialogs]\ndisabled = ["advance"]\n[dialogs.texts.en]\n"Bundles" = "Deals"\n')
    assert await watching.look()
    changed = await phone.say("3")
    assert "This menu has changed:" in changed.text and "3 Deals" in changed.text and "Advance" not in changed.text
    assert "1 Tiny 100 MB KES 19.00" in (await phone.say("3")).text
    assert engine.products()[0].price == 1_900
    assert (await Texter(by_text).text("BUY tiny 100 mb")).label == "bundles.confirm"
    await watching.tell()
    (word,) = await served(redis_client)
    assert word.edition == conversation._machine.edition and not word.refused


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ('"Bundles" = "A name so long that it says {nothing} of use"', "placeholders"),
        ('"Bundels" = "Deals"', "nothing says"),
        ("nonsense", "is not TOML"),
        ("[dialogs.more]", "no such setting"),
    ],
)
async def test_an_edit_that_fails_the_check_leaves_the_running_one_alone_and_says_why(
    *, path: Path, process: Process, engine: Engine, redis_client: Redis, after: str, why: str
) -> None:
    conversation, _, watching = process
    await engine.create_line(MSISDN, language="en")
    edition, menu = conversation._machine.edition, await Phone(conversation).dial()
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n[dialogs.texts.en]\n{after}\n")
    assert await watching.look()
    await watching.tell()
    (word,) = await served(redis_client)
    assert word.edition == edition and any(why in reason for reason in word.refused), word.refused
    assert (await Phone(conversation, session_id="ATUid_2").dial()).text == menu.text
    path.write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert await watching.look()
    await watching.tell()
    assert not (await served(redis_client))[0].refused


async def test_what_holds_from_the_next_start_on_is_named(
    path: Path, process: Process, engine: Engine, redis_client: Redis
) -> None:
    watching = process.watching
    edit(path, 'service_code = "123"', 'service_code = "124"')
    assert await watching.look()
    await watching.tell()
    assert (await served(redis_client))[0].next_start == ["service_code"]
    assert engine.operator.service_code == "123"
