"""The Typer application; all verbs are registered here."""

from typing import Annotated

import typer

import sc_mamba2
from sc_mamba2.commands.compare import compare
from sc_mamba2.commands.data import data
from sc_mamba2.commands.doctor import doctor
from sc_mamba2.commands.explore import explore
from sc_mamba2.commands.import_weights import import_weights
from sc_mamba2.commands.index import index
from sc_mamba2.commands.init import init
from sc_mamba2.commands.model import model
from sc_mamba2.commands.output import Verbs, with_modes
from sc_mamba2.commands.pretrain import pretrain
from sc_mamba2.commands.rerun import rerun
from sc_mamba2.commands.run import run
from sc_mamba2.commands.runs import runs
from sc_mamba2.commands.task_verb import task_verb, verb_of
from sc_mamba2.commands.validate import validate
from sc_mamba2.commands.viz import viz
from sc_mamba2.tasks.embedding.task import INDEX
from sc_mamba2.tasks.table import PRETRAIN, TASKS

app = typer.Typer(
    name="scm",
    cls=Verbs,
    help="Models of single cells that read the whole transcriptome.",
    epilog="`scm init FOLDER` writes every parameter with its default to FOLDER/conf/base.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(sc_mamba2.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the verb."""


# Panels of the help.
TASK, CELLS, PROJECT = "Tasks", "Cells and checkpoints", "The project"
for task in TASKS.values():
    app.command(rich_help_panel=TASK)(with_modes(task_verb(task, verb_of(task)), can_be_dry=True))
for task, verb, panel in ((INDEX, index, CELLS), (PRETRAIN, pretrain, PROJECT)):
    app.command(rich_help_panel=panel)(with_modes(task_verb(task, verb), can_be_dry=True))
for verb in (validate, explore, import_weights):
    app.command(rich_help_panel=CELLS)(with_modes(verb))
for verb in (init, run, runs, compare, rerun, doctor):
    app.command(rich_help_panel=PROJECT)(with_modes(verb, can_be_dry=verb is run))
app.command(rich_help_panel=PROJECT)(viz)  # it answers with a page in the browser

for group in (data, model):
    app.add_typer(group, rich_help_panel=CELLS)
