"""Progress as people watch it: on standard error, so that what a command prints can be piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def bars() -> Progress:
    """Bars, each with what it counts, how many of how many there are, and the time that is left."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """One bar; what it yields is told how many more are done. ``total`` None: nobody knows how many there are."""
    with bars() as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)
