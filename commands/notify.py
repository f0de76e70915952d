"""``manage.py notify``: one message to many, what became of it, and messages that were given up."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from channels.layout import septets, transliterate, units
from channels.text_turn import PART_SEPTETS, PART_UCS2, WHOLE_SEPTETS, WHOLE_UCS2
from commands.bars import counting
from commands.installation import By, Installation, Why, refuse, run
from commands.tables import print_table
from dialogs.samples import money_sample
from dialogs.texts import Texts
from dialogs.values import Money
from engine.accounts.chats import Chats
from engine.notices.campaigns import TOPIC, Campaign, Campaigns
from engine.notices.rules import NOTHING_ASKED, gate
from engine.notices.service import Messages
from engine.words import Subscriber, Unit
from settings import Operator

app = typer.Typer(help="Messages: campaigns, and what was given up.", invoke_without_command=True)

#: numbers in one commit
CHUNK = 500
#: what one SMS alone holds, and one of several: in septets, in UCS-2 units
ALONE, LINKED = (WHOLE_SEPTETS, WHOLE_UCS2), (PART_SEPTETS, PART_UCS2)
GZIP = b"\x1f\x8b"


@app.callback()
def notify(
    context: typer.Context,
    *,
    by: By,
    segment: Annotated[
        Path | None, typer.Option(help="CSV of numbers, plain or gzip: the column msisdn, else the first.")
    ] = None,
    template: Annotated[str | None, typer.Option(help="A name under [templates] of the operator's file.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The campaign's name; by default made of the template and the file's content.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, count and show; write nothing.")] = False,
    why: Why = "",
) -> None:
    """Write to every number of a file once. Started again, it goes on where it was stopped."""
    if context.invoked_subcommand is not None:
        return
    if segment is None or template is None:
        refuse("notify needs --segment and --template, or one of its commands: see notify --help")
    console = Console()

    async def work(installation: Installation) -> None:
        """Look at what would be written, or write it: the campaign's name tells one that goes on from a new one."""
        operator = installation.operator
        say = _sayer(operator, template)
        campaigns = _campaigns(installation)
        if dry_run:
            await _look(campaigns, segment, say, operator.templates[template], console)
            return
        called = name or f"{template}-{_content_digest(segment)}"
        detail = {"campaign": called, "template": template}
        async with installation.trail.doing("notify.campaign", by=by, why=why, detail=detail):
            campaign = await campaigns.start(called, template)
        console.print(f"campaign {campaign.name}", highlight=False)
        await _write(campaigns, campaign, segment, say)
        _tell_when(operator, console)

    run(work)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The campaign, as it was named when it was started.")]) -> None:
    """What has become of a campaign's messages so far."""

    async def work(installation: Installation) -> dict[str, int]:
        """How many of its messages stand in which state."""
        campaigns = _campaigns(installation)
        return await campaigns.outcome(await campaigns.find(name))

    table = Table("messages", "count")
    for what, count in run(work).items():
        table.add_row(what, f"{count:,}")
    print_table(table)


@app.command()
def parked(limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the newest.")] = 50) -> None:
    """Messages that were given up, and why. `unknown` means that the carrier may have sent it."""
    table = Table("message", "topic", "written", "tries", "carrier", "why")
    for message in run(lambda installation: _messages(installation).parked_messages(limit)):
        written = f"{message.created_at:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(
            str(message.message_id),
            message.topic,
            written,
            str(message.attempts),
            message.carrier or "",
            message.error or "",
        )
    print_table(table)


@app.command()
def resend(
    message_ids: Annotated[list[UUID], typer.Argument(help="Messages, as `notify parked` shows them.")],
    by: By,
    why: Why = "",
) -> None:
    """Send parked messages again. Exit code 1 if some are not parked."""

    async def work(installation: Installation) -> list[UUID]:
        """Those that were not parked: they are on their way, or unknown."""
        messages = _messages(installation)
        detail = {"messages": [str(one) for one in message_ids]}
        await installation.trail.record("notify.resend", by=by, why=why, detail=detail)
        return [one for one in message_ids if not await messages.resend_message(one)]

    left = run(work)
    console = Console()
    console.print(f"{len(message_ids) - len(left)} due again", highlight=False)
    if left:
        console.print(f"not parked: {', '.join(map(str, left))}", style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


# --- the file ---


def numbers(segment: Path) -> Iterator[str]:
    """The numbers of a segment, in the file's order. The first line may name the columns.

    Raises ``OSError``, and ``ValueError`` for what is no such file, or only the beginning of one.
    """
    try:
        yield from _numbers(segment)
    except (csv.Error, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{segment}: {error}") from None


def _numbers(segment: Path) -> Iterator[str]:
    with segment.open("rb") as raw:
        packed = raw.peek(2)[:2] == GZIP
        with gzip.open(raw) if packed else raw as content:
            rows = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
            column = 0
            for place, row in enumerate(rows):
                if place == 0 and not any(character.isdecimal() for cell in row for character in cell):
                    names = [cell.strip().lower() for cell in row]
                    column = names.index("msisdn") if "msisdn" in names else 0
                    continue
                if len(row) > column and row[column].strip():
                    yield row[column].strip()


def _content_digest(segment: Path) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for number in numbers(segment):
        digest.update(number.encode() + b"\n")
    return digest.hexdigest()


# --- the template ---


def _sayer(operator: Operator, template: str) -> Callable[[Subscriber], str]:
    """What the template says to a line, once it is known to fit. Raises ``LookupError`` and ``ValueError``."""
    said = operator.templates.get(template)
    if said is None:
        known = ", ".join(sorted(operator.templates)) or "none"
        raise LookupError(f"no template is called {template}; there are: {known}")
    texts = Texts(operator.languages, operator.timezone)
    fixed = {"operator": operator.name, "code": f"*{operator.service_code}#", "support": operator.support_number}

    def render(language: str, balance: Money) -> str:
        """In one language, with the balance of one line."""
        return said[language].format(**fixed, balance=texts.write(language, balance))

    for language in operator.languages:
        count = parts(render(language, money_sample(operator)))
        if count > operator.texts.parts:
            raise ValueError(
                f"template {template} in {language} takes {count} SMS, at most {operator.texts.parts} will do"
            )
    return lambda line: render(texts.language(line.language), Money(line.total(Unit.MONEY), line.currency))


def parts(text: str) -> int:
    """How many SMS a text takes."""
    in_septets = septets(transliterate(text))
    kind = 0 if in_septets is not None else 1
    length = in_septets if in_septets is not None else units(text)
    return 1 if length <= ALONE[kind] else -(-length // LINKED[kind])


# --- the work ---


async def _write(campaigns: Campaigns, campaign: Campaign, segment: Path, say: Callable[[Subscriber], str]) -> None:
    counts: Counter[str] = Counter()
    with _chunks(segment) as chunks:
        for chunk in chunks:
            counts += await campaigns.write_to(campaign, chunk, say)
    _tell(counts)


async def _look(
    campaigns: Campaigns,
    segment: Path,
    say: Callable[[Subscriber], str],
    templates: Mapping[str, str],
    console: Console,
) -> None:
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    with _chunks(segment) as chunks:
        for chunk in chunks:
            lines, found = await campaigns.look_at(chunk)
            counts += found
            counts["would be queued"] += len(lines)
            for line in lines:
                examples.setdefault(line.language, say(line))
    for language, text in examples.items():
        console.print(f"{language} ({parts(text)} SMS): {text}", highlight=False, markup=False)
    for language in templates.keys() - examples.keys():
        console.print(f"{language}: nobody; {templates[language]}", highlight=False, markup=False)
    _tell(counts)


@contextmanager
def _chunks(segment: Path) -> Iterator[Iterator[list[str]]]:
    """A file's numbers, so many at a time, under a bar."""

    def each() -> Iterator[list[str]]:
        """Each chunk; one counts as done once the next is asked for."""
        source = numbers(segment)
        while chunk := list(islice(source, CHUNK)):
            yield chunk
            advance(len(chunk))

    with counting("numbers", sum(1 for _ in numbers(segment))) as advance:
        yield each()


def _tell(counts: Counter[str]) -> None:
    table = Table("numbers", "count")
    for what, count in sorted(counts.items()):
        table.add_row(what, f"{count:,}")
    print_table(table)


def _tell_when(operator: Operator, console: Console) -> None:
    zone = ZoneInfo(operator.timezone)
    verdict = gate(TOPIC, NOTHING_ASKED, operator.notifications, datetime.now(UTC), zone)
    if verdict.until is not None:
        console.print(f"quiet hours: they leave from {verdict.until.astimezone(zone):%H:%M} on", highlight=False)


def _campaigns(installation: Installation) -> Campaigns:
    return Campaigns(installation.database, installation.accounts, installation.keyring)


def _messages(installation: Installation) -> Messages:
    chats = Chats(installation.database, installation.operator, installation.keyring)
    return Messages(installation.database, installation.operator, installation.accounts, chats)
