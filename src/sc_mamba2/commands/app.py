"""The Typer application: verbs are registered here and nowhere else."""

from typing import Annotated

import typer

import sc_mamba2
from sc_mamba2.commands.annotate import annotate
from sc_mamba2.commands.data import data
from sc_mamba2.commands.doctor import doctor
from sc_mamba2.commands.embed import embed
from sc_mamba2.commands.import_weights import import_weights
from sc_mamba2.commands.index import index
from sc_mamba2.commands.integrate import integrate
from sc_mamba2.commands.model import model
from sc_mamba2.commands.multiome import multiome
from sc_mamba2.commands.network import network
from sc_mamba2.commands.perturb import perturb
from sc_mamba2.commands.pretrain import pretrain
from sc_mamba2.commands.reverse import reverse
from sc_mamba2.commands.run import run
from sc_mamba2.commands.validate import validate
from sc_mamba2.commands.viz import viz

app = typer.Typer(
    name="scm",
    help="Single-cell models of the whole transcriptome: annotate, embed, integrate, perturb, network, pretrain.",
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


for verb in (
    annotate,
    embed,
    index,
    integrate,
    perturb,
    reverse,
    multiome,
    network,
    validate,
    run,
    pretrain,
    import_weights,
    viz,
    doctor,
):
    app.command()(verb)

for group in (data, model):
    app.add_typer(group)
