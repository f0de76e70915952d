"""What both processes open before they differ: the engine on its databases, Redis, who serves people."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
import uvloop
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from channels.conversation import Conversation
from channels.editions import Editions
from channels.hops import HopLog
from channels.recording import Recorder
from channels.sessions import SessionStore, connect
from channels.text_channels import TextChannels, text_channels
from channels.trace import TracePublisher
from channels.ussd.configured import fits, profiles
from dialogs.catalogue import machine_of
from dialogs.machine import Machine
from dialogs.notices import Notices
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from engine.payments.gateways import configured_gateways
from engine.storage.unusable import why_unusable
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, Settings, SettingsError, load_operator

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """One process's parts, each made once."""

    settings: Settings
    operator: Operator
    keyring: Keyring
    metrics: Metrics
    engine: Engine
    redis: Redis
    store: SessionStore
    texts: Texts
    machine: Machine
    #: who serves USSD
    conversation: Conversation
    #: who serves texts and chats
    text_channels: TextChannels
    #: who watches the operator's file
    editions: Editions
    #: who keeps what people were shown
    hops: HopLog
    #: who records the lines that staff asked for
    recorder: Recorder

    async def watch(self, stop: asyncio.Event) -> None:
        """Follow the operator's file, and keep what people were shown, until ``stop``."""
        await asyncio.gather(self.editions.run(stop), self.hops.run(stop), self.recorder.run(stop))

    async def close(self) -> None:
        """Finish what was promised to people, then let all connections go."""
        await asyncio.gather(self.conversation.drain(), self.text_channels.texts.drain())
        await self.hops.flush()
        await self.engine.close()
        await self.redis.aclose()


async def open_process(settings: Settings, operator: Operator | None = None, *, statement_seconds: int = 0) -> Opened:
    """Open Postgres and Redis and put the parts on them; ``operator`` where its file has been read already.

    A statement that takes longer than ``statement_seconds`` is broken off; 0: none.

    Raises ``SettingsError`` and what connecting raises.
    """
    operator = operator or load_operator(settings.operator)
    keyring, metrics, redis = settings.keyring(), Metrics(), connect(settings.redis_url)
    engine = await _engine(settings, operator, keyring, metrics, redis, statement_seconds=statement_seconds)
    texts, store = Texts.of(operator), SessionStore(redis, keyring)
    machine, notices, known = machine_of(operator, texts), Notices(texts, operator), profiles(settings.gateways)
    hops, recorder = HopLog(engine, keyring, settings.funnel_percent), Recorder(redis, keyring, machine, operator)
    by_text = text_channels(
        settings,
        engine=engine,
        machine=machine,
        notices=notices,
        store=store,
        redis=redis,
        keyring=keyring,
        metrics=metrics,
        listeners=(hops, recorder),
    )
    conversation = Conversation(
        engine=engine,
        machine=machine,
        notices=notices,
        store=store,
        profiles=known,
        metrics=metrics,
        publisher=TracePublisher(redis) if settings.simulator else None,
        listeners=(hops, recorder),
    )
    editions = Editions(
        path=settings.operator,
        engine=engine,
        machine=machine,
        notices=notices,
        texts=by_text.texts,
        fits=fits(known),
        redis=redis,
    )
    # Each has a type of its own: one out of its place is seen by mypy.
    resources = (settings, operator, keyring, metrics, engine, redis, store)
    return Opened(*resources, texts, machine, conversation, by_text, editions, hops, recorder)


async def _engine(
    settings: Settings, operator: Operator, keyring: Keyring, metrics: Metrics, redis: Redis, *, statement_seconds: int
) -> Engine:
    return await open_engine(
        settings.database_url,
        operator,
        keyring,
        lanes=settings.lanes,
        metrics=metrics,
        books=settings.books,
        gateways=configured_gateways(settings, metrics),
        redis=redis,
        webhooks=settings.webhooks,
        audit_export=settings.audit_export,
        statement_seconds=statement_seconds,
    )


class Broken(Exception):
    """A part of the process broke, and the process stopped for it. The log says how."""


class Parts:
    """What a process does beside each other until ``stop``.

    Should one break, all stop: half a process looks alive, and nobody starts it again.
    """

    def __init__(self, stop: asyncio.Event, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        self._stop = stop
        self._tasks = [asyncio.create_task(self._run(work)) for work in works]

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("part_broke", part=getattr(work, "__qualname__", ""))
            self._stop.set()
            raise

    async def end(self, seconds: float) -> None:
        """Stop: let them finish what is under way, and break off what takes longer. Raises ``Broken``."""
        self._stop.set()
        await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        if any(isinstance(result, Exception) for result in results):
            raise Broken


def run_process(process: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a process until it is told to stop.

    Returns its exit status: 1 where a part of it broke, 2 where what is configured cannot be run.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process())
    except Broken:
        return 1
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except DBAPIError as error:
        sys.stderr.write(f"the database cannot be used: {why_unusable(error)}\n")
        return 2
    except OSError as error:  # a port that is taken, most likely
        sys.stderr.write(f"cannot run: {error.strerror or error}\n")
        return 2
    return 0
