"""``manage.py dialog``: check the dialogs, draw them, play them, reload them, and see what people do on them."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal, NamedTuple

import typer
from rich.console import Console

from channels.turn import Profile
from channels.ussd.configured import fits, profiles
from commands.dialog_funnel import funnel
from commands.dialog_hammer import hammer
from commands.dialog_play import play
from commands.dialog_record import diff, record, replay
from commands.dialog_reload import reload_dialogs
from commands.dialog_translate import spoken, translate
from commands.gateways import demo_profiles
from commands.installation import anything_set, guarded, refuse
from commands.scratch import SAMPLE
from dialogs.catalogue import declared, machine_of
from dialogs.check import Problem, check_operator, sentences
from dialogs.drawing import mermaid, svg
from dialogs.texts import Texts
from dialogs.ways import longest, way_faults
from settings import Operator, load_operator, load_settings

app = typer.Typer(help="Check, draw, play, reload and translate the dialogs.", no_args_is_help=True)
app.command("play")(play)
app.command("hammer")(hammer)
app.command("record")(record)
app.command("replay")(replay)
app.command("diff")(diff)
app.command("funnel")(funnel)
app.command("reload")(reload_dialogs)
app.command("translate")(translate)

OperatorOption = Annotated[
    Path | None,
    typer.Option(help="A file, on the demo's gateways; by default what the settings name, else the sample."),
]


class Chosen(NamedTuple):
    """Whose dialogs, and where they are served."""

    operator: Operator
    profiles: dict[str, Profile]


@app.command("check")
def check_dialogs(
    operator: OperatorOption = None,
    *,
    every_language: Annotated[
        bool, typer.Option(help="All languages that there are, whether the operator speaks them or not.")
    ] = False,
) -> None:
    """Check every dialog in every language on every gateway; exit code 1 when there is a problem."""
    console = Console()
    started = perf_counter()
    chosen = guarded(lambda: _chosen(operator))
    known, served = chosen.operator, chosen.profiles
    if every_language:
        known = known.model_copy(update={"languages": spoken()})
    problems = check_operator(known, fits(served))
    if every_language:  # products are named in the operator's own languages
        problems = [one for one in problems if one.dialog != "catalogue"]
    if not problems:
        machine = machine_of(known)
        found = way_faults(machine, {name: one.session_seconds for name, one in served.items()})
        problems = [Problem("ways", "", what, language, gateway) for language, gateway, what in found]
    for problem in sentences(problems):
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    dialogs = declared(known)
    states = sum(len(dialog.states) for dialog in dialogs)
    console.print(
        f"{len(dialogs)} dialogs, {states} states, in {', '.join(known.languages)}, on {len(served)} gateways: "
        f"no problem ({perf_counter() - started:.1f} s)"
    )
    _tell_ways(console, known, served)


def _tell_ways(console: Console, operator: Operator, served: dict[str, Profile]) -> None:
    shortest = min((one.session_seconds for one in served.values() if one.session_seconds), default=0)
    for language, way in longest(machine_of(operator)).items():
        console.print(
            f"{language}: the longest direct way has {way.screens} screens and takes about {way.seconds:.0f} s, to "
            f"{way.states[-1]}; the shortest session lasts {shortest} s",
            highlight=False,
            soft_wrap=True,
        )


@app.command("draw")
def draw_dialogs(
    names: Annotated[list[str] | None, typer.Argument(help="Dialogs; by default all.")] = None,
    *,
    operator: OperatorOption = None,
    form: Annotated[Literal["mermaid", "svg"], typer.Option("--format", help="Text for documents, or a picture.")] = (
        "mermaid"
    ),
    language: Annotated[str | None, typer.Option(help="What an SVG's screens speak.")] = None,
) -> None:
    """The graph of all dialogs, or of some, with money steps marked, on stdout."""
    known = guarded(lambda: _chosen(operator)).operator
    dialogs = declared(known)
    strange = {*(names or ())} - {dialog.name for dialog in dialogs}
    if strange:
        refuse(f"no dialog {', '.join(sorted(strange))}: there are {', '.join(one.name for one in dialogs)}")
    wanted = tuple(one for one in dialogs if not names or one.name in names)
    if form == "mermaid":
        typer.echo(mermaid(wanted))
    else:
        spoken = Texts.of(known).language(language or known.languages[0])
        typer.echo(svg(machine_of(known), wanted, spoken))


def _chosen(operator: Path | None) -> Chosen:
    if operator is None and not anything_set():
        operator = SAMPLE
        Console(stderr=True).print(
            f"no settings: {SAMPLE.name} on the demo's gateways (--operator names another file)", style="dim"
        )
    if operator is not None:
        return Chosen(load_operator(operator), demo_profiles())
    settings = load_settings()
    return Chosen(load_operator(settings.operator), profiles(settings.gateways))
