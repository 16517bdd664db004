"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Layer = Annotated[
    str | None, typer.Option(help="Layer with the expression; else the first usable matrix.")
]
MaxLength = Annotated[
    int | None, typer.Option(help="Tokens a cell at most; the highest values are kept.")
]
BatchSize = Annotated[int | None, typer.Option(help="Cells a batch when predicting.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Seed = Annotated[int | None, typer.Option(help="Seed of every source of chance.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The .h5ad file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace results that are there already.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--params", help="Parameters as name=value, with dots; several by commas."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every node that runs.")]
