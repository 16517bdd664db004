"""Two runs over 60,530 tokens, each in a process of its own, with attention at the same length beside.

`base` takes optimizer steps of masked expression; `upstream-625m` embeds one cell. Attention is
timed for one layer and multiplied, or dies: its error is kept. About half an hour on 2 cores:

    python benchmarks/whole_genome.py
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from contenders import Attention
from machine import describe_machine
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.model import (
    Backbone,
    CellExpressionDecoder,
    ExpressionDecoder,
    expression_in_chunks,
    preset,
)
from sc_mamba2.model.losses import masked_squares

RESULTS = Path(__file__).parent / "results"
TOKENS = 60_530
STEPS, MASKED, EXPRESSED = 2, 0.15, 0.08


def base_training() -> dict[str, Any]:
    """Take optimizer steps with `base`, 12 layers of 512, over whole genomes."""
    backbone = Backbone(preset("base", load_vocabulary("gencode-v44").size))
    backbone.recompute_layers = True
    heads = torch.nn.ModuleList([ExpressionDecoder(512), CellExpressionDecoder(512)])
    parameters = [*backbone.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-6)
    token_ids_BL, target_BL, mask_BL = _cell()
    seconds, losses = [], []
    for _ in range(STEPS):
        started = time.perf_counter()
        hidden_BLD = backbone(
            token_ids_BL, target_BL.masked_fill(mask_BL, -1), torch.tensor([TOKENS])
        )
        cell_BD = hidden_BLD[:, 0]

        def from_cell(ids_BL: Tensor, cell_BD: Tensor = cell_BD) -> Any:
            return heads[1](cell_BD, backbone.gene_encoder(ids_BL))

        predicted = [
            expression_in_chunks(heads[0], hidden_BLD).value,
            expression_in_chunks(from_cell, token_ids_BL).value,
        ]
        squares = [masked_squares(part_BL, target_BL, mask_BL) for part_BL in predicted]
        loss = sum(squares) / mask_BL.sum()
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(round(time.perf_counter() - started, 1))
        losses.append(round(float(loss.detach()), 3))
    every = all(parameter.grad is not None for parameter in backbone.parameters())
    return {"seconds a step": seconds, "losses": losses, "every weight got a gradient": every}


def upstream_embedding() -> dict[str, Any]:
    """Embed one cell with the shape of the released model, 36 layers of 1,536."""
    backbone = Backbone(preset("upstream-625m", 60_533)).eval()
    token_ids_BL, values_BL, _ = _cell()
    started = time.perf_counter()
    with torch.no_grad():
        cell_BD = backbone.encode(token_ids_BL, values_BL, torch.tensor([TOKENS]))
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "finite": bool(torch.isfinite(cell_BD).all()),
    }


def attention_base() -> dict[str, Any]:
    """One attention layer with as many parameters as one of `base`, forward; 12 of them."""
    return _attention(512, 1_653_424, 12)


def attention_upstream() -> dict[str, Any]:
    """One attention layer with as many parameters as one of `upstream-625m`; 36 of them."""
    return _attention(1_536, 14_500_000, 36)


def attention_matrix() -> dict[str, Any]:
    """Attention that writes down the matrix of all pairs."""
    layer = Attention(512, 1_653_424, matrix=True)
    with torch.no_grad():
        layer(torch.randn(1, TOKENS, 512))
    return {}


def _attention(width: int, parameters: int, layers: int) -> dict[str, Any]:
    layer = Attention(width, parameters)
    x_BLD = torch.randn(1, TOKENS, width)
    started = time.perf_counter()
    with torch.no_grad():
        layer(x_BLD)
    seconds = time.perf_counter() - started
    return {
        "seconds, one layer forward": round(seconds, 1),
        f"seconds, {layers} layers (multiplied)": round(seconds * layers),
    }


def _cell() -> tuple[Tensor, Tensor, Tensor]:
    """One simulated cell with a token for each gene: ids, bins (most are 0), what is masked."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = load_vocabulary("gencode-v44")
    genes = torch.from_numpy(vocabulary.gene_rows[: TOKENS - 1].astype("int64"))
    token_ids_BL = torch.cat([torch.tensor([vocabulary.cls_id]), genes])[None]
    bins_BL = torch.randint(1, 51, (1, TOKENS), generator=generator).float()
    bins_BL *= torch.rand(1, TOKENS, generator=generator) < EXPRESSED
    mask_BL = torch.rand(1, TOKENS, generator=generator) < MASKED
    mask_BL[:, 0] = False
    return token_ids_BL, bins_BL, mask_BL


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "base, training": base_training,
    "upstream-625m, embedding": upstream_embedding,
    "attention as base, forward": attention_base,
    "attention as upstream-625m, forward": attention_upstream,
    "attention with its matrix": attention_matrix,
}


def main() -> None:
    """Run every part in a process of its own, or one part in this one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--output", type=Path, default=RESULTS / "whole_genome.json")
    options = parser.parse_args()
    if options.part:
        found = PARTS[options.part]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.write(json.dumps({**found, "peak_gib": round(peak / 2**30, 2)}) + "\n")
        return
    content: dict[str, Any] = {
        "command": "python benchmarks/whole_genome.py",
        "tokens": TOKENS,
        "machine": describe_machine(),
        "parts": {},
    }
    table = Table("run", "result")
    for part in PARTS:
        content["parts"][part] = _in_a_process(part)
        options.output.write_text(json.dumps(content, indent=1) + "\n")
        table.add_row(part, json.dumps(content["parts"][part]))
    Console().print(table)


def _in_a_process(part: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--part", part]
    started = time.perf_counter()
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = {"wall_seconds": round(time.perf_counter() - started, 1)}
    if child.returncode:
        error = (child.stderr.strip() or f"exit {child.returncode}").splitlines()[-1]
        return {"error": error, **wall}
    found: dict[str, Any] = json.loads(child.stdout.strip().splitlines()[-1])
    return {**found, **wall}


if __name__ == "__main__":
    main()
