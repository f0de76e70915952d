"""``manage.py dialog``: check the declared dialogs as the server does before it starts, and draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from channels.ussd.configured import fits, profiles
from commands.dialog_hammer import hammer
from commands.installation import guarded
from dialogs.catalogue import declared
from dialogs.check import check
from dialogs.graph import draw
from dialogs.texts import Texts
from settings import GatewaySettings, Operator, load_operator, load_settings

app = typer.Typer(help="Check and draw the dialogs.", no_args_is_help=True)

OperatorOption = Annotated[
    Path | None, typer.Option(help="An operator's file, on an ordinary gateway; by default what the settings name.")
]


app.command("hammer")(hammer)


@app.command("check")
def check_dialogs(operator: OperatorOption = None) -> None:
    """Check every dialog in every language on every gateway; exit code 1 when there is a problem."""
    console = Console()
    chosen, gateways = guarded(lambda: _chosen(operator))
    dialogs = declared(chosen)
    problems = check(dialogs, chosen, Texts(chosen.languages, chosen.timezone), fits(profiles(gateways)))
    for problem in problems:
        console.print(str(problem), markup=False, highlight=False)
    if problems:
        raise typer.Exit(1)
    states = sum(len(dialog.states) for dialog in dialogs)
    console.print(f"{len(dialogs)} dialogs, {states} states, in {', '.join(chosen.languages)}: no problem")


@app.command("draw")
def draw_dialogs(operator: OperatorOption = None) -> None:
    """The graph of all dialogs as Mermaid text."""
    chosen, _ = guarded(lambda: _chosen(operator))
    typer.echo(draw(declared(chosen)))


def _chosen(operator: Path | None) -> tuple[Operator, dict[str, GatewaySettings]]:
    if operator is not None:
        return load_operator(operator), {"africastalking": GatewaySettings(adapter="africastalking")}
    settings = load_settings()
    return load_operator(settings.operator), settings.gateways
