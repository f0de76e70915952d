"""Tables as people read and copy them: nothing of a value is ever cut off, however narrow the terminal is."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

#: wider than any table, so that its own width can be measured
_WIDEST = 100_000
#: so many columns are still read side by side when their values take several lines
_FOLDED = 3


def print_table(table: Table) -> None:
    """Print a table whole: an id that the next command takes must be there to be copied.

    Into a file or a pipe it is as wide as it has to be. On a terminal that is too narrow each row becomes a paragraph,
    one line for each column; a table of few columns stays one, its values folded.
    """
    console = Console()
    natural = _width(table)
    if natural > console.width and not console.is_terminal:
        console = Console(width=natural)
    for column in table.columns:
        column.overflow = "fold"
    if natural > console.width and len(table.columns) > _FOLDED:
        _paragraphs(table, console)
    else:
        console.print(table)


def _width(table: Table) -> int:
    ample = Console(width=_WIDEST)
    return Measurement.get(ample, ample.options, table).maximum


def _paragraphs(table: Table, console: Console) -> None:
    if table.title is not None:
        console.print(table.title, style="italic")
    for row in zip(*(column.cells for column in table.columns), strict=True):
        paragraph = Table.grid(padding=(0, 2))
        paragraph.add_column(style="bold", no_wrap=True)
        paragraph.add_column(overflow="fold")
        for column, value in zip(table.columns, row, strict=True):
            paragraph.add_row(column.header, value)
        console.print(paragraph, Text())
