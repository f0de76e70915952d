"""``manage.py dialog``: check the declared dialogs, and draw them."""

from __future__ import annotations

from collections.abc import Callable

import typer
from rich.console import Console

from dialogs.catalogue import declared
from dialogs.check import Fits, check
from dialogs.graph import draw
from dialogs.texts import Texts
from settings import Operator


def dialog_app(wired: Callable[[], tuple[Operator, Fits]]) -> typer.Typer:
    """The sub-commands. ``wired`` gives the operator and what fits on the configured gateways, when a command runs."""
    app = typer.Typer(help="Check and draw the dialogs.", no_args_is_help=True)
    console = Console()

    @app.command("check")
    def check_dialogs() -> None:
        """Check every dialog in every language on every gateway; exit code 1 when there is a problem."""
        operator, fits = wired()
        dialogs = declared(operator)
        problems = check(dialogs, operator, Texts(operator.languages, operator.timezone), fits)
        for problem in problems:
            console.print(str(problem), markup=False, highlight=False)
        if problems:
            raise typer.Exit(1)
        states = sum(len(dialog.states) for dialog in dialogs)
        console.print(f"{len(dialogs)} dialogs, {states} states, {', '.join(operator.languages)}: no problem")

    @app.command("draw")
    def draw_dialogs() -> None:
        """The graph of all dialogs as Mermaid text."""
        operator, _ = wired()
        typer.echo(draw(declared(operator)))

    return app
