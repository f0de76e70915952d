"""The bars of ``manage.py usage import``."""

from __future__ import annotations

from rich.progress import Progress

from commands.usage import _watch


def test_the_bar_of_what_is_charged_ends_full_whatever_was_read_and_not_charged() -> None:
    bar = Progress(disable=True)
    watch = _watch(bar, "a.csv")
    # Two batches of three lines, of which one each is charged, another set aside, another compared.
    for _ in range(2):
        for step, count in (("read", 0), ("read", 3), ("due", 1), ("charged", 1)):
            watch(step, count)
    read, charged = bar.tasks
    assert (read.description, read.completed) == ("a.csv: read", 6)
    assert (charged.description, charged.completed, charged.total) == ("a.csv: charged", 2, 2)
