"""Sessions recorded so that they can be played again: what was chosen and shown, with all that is secret left out.

Staff asks for it, for one line and some minutes (``manage.py dialog record``). What is kept is masked before it leaves
the process: PINs, voucher numbers and telephone numbers stand as ``<pin>``, ``<voucher>``, ``<number>``, on screens
too. It lies in Redis until it is fetched, for an hour at most.
"""

from __future__ import annotations

import asyncio
import re
import time

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.trace import Trace
from channels.turn import Reply, Turn
from dialogs.asking import NUMBER as NUMBER_ASKED
from dialogs.keywords import WORDS, Keywords
from dialogs.machine import Machine
from dialogs.typed import typed_text
from dialogs.words import Ask, Choose
from runtime.keyring import Keyring
from runtime.pausing import pause
from settings import Operator

log = structlog.get_logger(__name__)

#: digest of a line → until when it is recorded (seconds since 1970)
WANTED = "dialogs:recording"
#: seconds between two looks for lines to record and two writings, hops of one recording, and how long it lies there
LOOK_SECONDS, HOPS_MOST, LIES_SECONDS = 1.0, 500, 3600
#: an option or a navigation key; what else may stand in clear is a whole amount of few digits
KEY = re.compile(r"\d{1,2}")
AMOUNT = re.compile(r"\d{1,6}")
#: digits of a PIN, and of a voucher number at least (``configuration.catalogue``)
PIN_DIGITS_LEAST, PIN_DIGITS_MOST, VOUCHER_DIGITS_LEAST = 4, 8, 12
#: telephone and voucher numbers on a screen, as people or we write them; times, dates and amounts are shorter
LONG_NUMBER = re.compile(r"(?<![\d.,])\+?\d(?:[ -]?\d){6,}(?![\d.,]*\d)")
PIN, VOUCHER, NUMBER, OTHER = "<pin>", "<voucher>", "<number>", "<other>"


class RecordedHop(msgspec.Struct):
    """One input and the screen that it led to."""

    session: str
    channel: str
    gateway: str
    typed: list[str]
    state: str
    shown: str
    ends: bool


def recording_key(keyring: Keyring, msisdn: str) -> str:
    """What a line is recorded under: a keyed digest of its number (E.164)."""
    return keyring.digest("recording", msisdn.strip().lstrip("+").encode())[:16].hex()


class Recorder:
    """Records the lines that staff asked for. Costs the others nothing but a look into an empty set."""

    def __init__(self, redis: Redis, keyring: Keyring, machine: Machine, operator: Operator) -> None:
        self._redis = redis
        self._keyring = keyring
        self._machine = machine
        self._keywords = Keywords(machine.texts, operator)
        self._wanted: dict[str, float] = {}
        self._waiting: list[tuple[str, RecordedHop]] = []

    def note(self, turn: Turn, session: str, trace: Trace, reply: Reply) -> None:
        """Keep one turn of a line that is recorded."""
        if not self._wanted or trace.outcome != "answered":
            return
        line = recording_key(self._keyring, turn.msisdn)
        if self._wanted.get(line, 0.0) < time.time():
            return
        typed = [self._masked(trace.before if place == 0 else "", one) for place, one in enumerate(trace.typed)]
        hop = RecordedHop(
            session=self._keyring.digest("recorded", session.encode())[:4].hex(),
            channel=turn.channel,
            gateway=turn.gateway,
            typed=typed,
            state=trace.state or reply.label,
            shown=masked_screen(reply.text),
            ends=reply.ends,
        )
        self._waiting.append((line, hop))

    def _masked(self, before: str, raw: str) -> str:
        """An input as it may be kept, by what the screen before it asked for."""
        given = typed_text(raw)
        state = self._machine.states.get(before)
        if isinstance(state, Ask):
            if state.secret and not KEY.fullmatch(given):
                return PIN if len(given) <= PIN_DIGITS_MOST else VOUCHER
            return given if AMOUNT.fullmatch(given) else NUMBER if given.strip("+").isdigit() else OTHER
        asks_number = isinstance(state, Choose) and any(one.shape == NUMBER_ASKED for one in state.typed)
        if asks_number and not KEY.fullmatch(given):
            return NUMBER if re.sub(r"[ ()+./-]", "", given).isdigit() else OTHER
        keyword = self._keywords.read(given)
        if keyword is not None:
            rest = [_digits(word) if word.isdecimal() else OTHER for word in keyword.rest]
            return " ".join([WORDS[keyword.intent].message.partition(",")[0], *rest])
        return given if KEY.fullmatch(given) else _digits(re.sub(r"[ -]", "", given))

    async def run(self, stop: asyncio.Event) -> None:
        """Look for lines to record, and put what was recorded where it is fetched, until ``stop``."""
        while not stop.is_set():
            try:
                await self.step()
            except (RedisError, OSError) as error:
                log.info("recording_not_kept", error=type(error).__name__)
            await pause(stop, LOOK_SECONDS)

    async def step(self) -> None:
        """One look and one writing. Raises what Redis raises."""
        wanted = await self._redis.hgetall(WANTED)
        self._wanted = {
            (line if isinstance(line, str) else line.decode()): float(until) for line, until in wanted.items()
        }
        while self._waiting:
            line, hop = self._waiting.pop(0)
            name = f"{WANTED}:{line}"
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.rpush(name, msgspec.json.encode(hop))
            pipeline.ltrim(name, -HOPS_MOST, -1)
            pipeline.expire(name, LIES_SECONDS)
            await pipeline.execute()


def _digits(given: str) -> str:
    """A number that was typed where none was asked for: very few digits are an amount, and no PIN has so few."""
    if not given.isdecimal():
        return OTHER
    if len(given) < PIN_DIGITS_LEAST:
        return given
    return VOUCHER if len(given) >= VOUCHER_DIGITS_LEAST else NUMBER


def masked_screen(text: str) -> str:
    """A screen with telephone and voucher numbers left out."""
    return LONG_NUMBER.sub(NUMBER, text)


async def ask_for(redis: Redis, keyring: Keyring, msisdn: str, minutes: int) -> None:
    """Have a line recorded for so many minutes; what was recorded of it before is forgotten."""
    line = recording_key(keyring, msisdn)
    pipeline = redis.pipeline()
    pipeline.delete(f"{WANTED}:{line}")
    pipeline.hset(WANTED, line, str(time.time() + minutes * 60))
    pipeline.expire(WANTED, LIES_SECONDS)
    await pipeline.execute()


async def fetch(redis: Redis, keyring: Keyring, msisdn: str) -> list[RecordedHop]:
    """What was recorded of a line, which is then forgotten."""
    line = recording_key(keyring, msisdn)
    name = f"{WANTED}:{line}"
    pipeline = redis.pipeline()
    pipeline.lrange(name, 0, -1)
    pipeline.delete(name)
    pipeline.hdel(WANTED, line)
    found = (await pipeline.execute())[0]
    return [msgspec.json.decode(hop, type=RecordedHop) for hop in found]
