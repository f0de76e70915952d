"""``manage.py usage``: files of usage records imported, what was set aside, and where collection points differ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
import uvloop
from rich.progress import Progress, TaskID
from rich.table import Table

from commands.bars import bars
from commands.installation import Result, guarded, open_all
from commands.tables import print_table
from engine.api import Engine
from engine.mediation.service import Progress as Watcher
from engine.words import UsageFile
from network.usage_files.folder import told
from network.usage_files.reading import UnreadableFile, open_usage
from runtime.collector import settle_collector
from settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Usage records that come as files.")


def _with_engine(work: Callable[[Engine, Settings], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        """With an engine open for as long as it takes, and the settings it was opened by."""
        settings = load_settings()
        settle_collector()
        async with open_all(settings, lanes=max(2, settings.lanes)) as engine:
            return await work(engine, settings)

    def readable() -> Result:
        """An unreadable file is what whoever typed its name can mend."""
        try:
            return uvloop.run(opened())
        except UnreadableFile as error:
            raise ValueError(str(error)) from None

    return guarded(readable)


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(help="CSV with a header, or JSON lines; .gz too.", exists=True)],
    source: Annotated[str, typer.Option(help="The collection point, one of usage_folders or any other name.")] = "",
    interface: Annotated[str, typer.Option(help="Whose names the sessions have: nchf, diameter, radius, …")] = "",
) -> None:
    """Read files of usage records and charge what they tell, once. Interrupted, the same command goes on."""

    async def work(engine: Engine, settings: Settings) -> list[UsageFile]:
        """The files as they stand afterwards, each with bars while it is read and charged."""
        folder = settings.usage_folders.get(source)
        names = interface or ("files" if folder is None else folder.interface)
        columns = {} if folder is None else folder.columns
        done = []
        with bars() as bar:
            for path in files:
                opened = await asyncio.to_thread(open_usage, path, source or "files", names, columns)
                done.append(await engine.mediation.import_usage(opened, _watch(bar, path.name)))
        return done

    _show(_with_engine(work))


@app.command()
def retry(
    file_id: Annotated[UUID, typer.Argument(help="The file, as ``usage files`` names it.")],
) -> None:
    """Try the lines of a file again that were set aside: the lines they name may exist by now."""

    async def work(engine: Engine, _settings: Settings) -> list[UsageFile]:
        """The one file, as it stands afterwards, with bars meanwhile."""
        with bars() as bar:
            return [await engine.mediation.retry(file_id, _watch(bar, "set aside"))]

    _show(_with_engine(work))


@app.command("files")
def list_files(most: Annotated[int, typer.Option(help="How many, the latest first.")] = 50) -> None:
    """What was imported, and how far it has come."""
    _show(_with_engine(lambda engine, _settings: engine.mediation.files(most)))


@app.command()
def set_aside(file_id: Annotated[UUID | None, typer.Argument(help="One file; by default all.")] = None) -> None:
    """Lines that wait for somebody to look, each with the reason. What they say stays sealed."""

    async def work(engine: Engine, _settings: Settings) -> Table:
        """As rows of a table, however many."""
        table = Table("file", "line", "reason", "what")
        for one in await engine.mediation.waiting(file_id):
            table.add_row(str(one.file_id), str(one.line), one.reason.value, one.detail)
        return table

    print_table(_with_engine(work))


@app.command()
def differences(days: Annotated[int, typer.Option(help="Found in so many days.", min=1)] = 30) -> None:
    """Sessions of which a collection point tells something else than was charged. None of it is charged again."""

    async def work(engine: Engine, _settings: Settings) -> Table:
        """As rows of a table, however many."""
        table = Table("session", "rating group", "source", "unit", "stated", "charged", "found")
        for one in await engine.mediation.differences(days):
            amounts = f"{one.stated:,}", f"{one.charged:,}"
            what = str(one.session_key), str(one.rating_group), one.source, one.unit.value
            table.add_row(*what, *amounts, f"{one.found_at:%Y-%m-%d %H:%M}")
        return table

    print_table(_with_engine(work))


def _watch(bar: Progress, name: str) -> Watcher:
    """Two bars for a file: how many lines it has is known at its end, how many are to be charged batch by batch."""
    steps: dict[str, TaskID] = {}

    def more(what: str, count: int) -> None:
        """So many more are read, due to be charged, or charged."""
        step = "charged" if what == "due" else what
        if step not in steps:
            steps[step] = bar.add_task(f"{name}: {step}", total=None)
        if what == "due":
            bar.update(steps[step], total=(bar.tasks[steps[step]].total or 0) + count)
        else:
            bar.advance(steps[step], count)

    return more


def _show(files: list[UsageFile]) -> None:
    table = Table("file", "source", "lines", "records", "duplicates", "set aside", "done", "id")
    for file in files:
        counts = [f"{count:,}" for count in told(file).values()]
        table.add_row(file.name, file.source, *counts, "yes" if file.finished_at else "no", str(file.file_id))
    print_table(table)
