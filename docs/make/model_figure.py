"""Draws docs/images/model.svg: tokens, the bidirectional layer, the heads, the presets.

Every number in it is read from the code. `python docs/make/model_figure.py` writes it again.
"""

from pathlib import Path
from xml.sax.saxutils import escape

import torch

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.model import PRESETS, Backbone, ModelConfig, preset

PLACE = Path(__file__).parents[1] / "images" / "model.svg"
# The first cell of scanpy:pbmc68k_reduced, as docs/concepts.md tells it.
TOKENS = [("<cls>", ""), ("PARK7", "27"), ("AGTRAP", "36"), ("TNFRSF1B", "42"), ("AIF1", "50")]
HEADS = [
    ("state at <cls>", "cell embedding", "scm embed · index"),
    ("state at <cls> + genes", "class of the cell", "scm annotate"),
    ("genes, (state at <cls>)", "cell without its batch", "scm integrate"),
    ("modalities, (<cls>)", "joint embedding", "scm multiome"),
    ("every token", "bins, genes, or molecules", "scm pretrain"),
    ("<cls> + perturbed gene", "change of expression", "scm perturb · reverse"),
    ("<cls>, a token taken out", "effect of a knock-out", "scm network"),
]
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1d2733; text-anchor: middle; }
.small { font-size: 12px; fill: #4b5866; } .left { text-anchor: start; } .right { text-anchor: end; }
.head { font-weight: 600; font-size: 16px; text-anchor: start; } .mono { font-family: monospace; }
rect { rx: 6; stroke: #4b5866; stroke-width: 1; fill: #fff; } .panel { fill: #f4f6f9; stroke: none; }
.gene { fill: #dceefb; } .value { fill: #fdebd0; } .mix { fill: #d9f0e3; } .scan { fill: #bfe3cf; }
path { stroke: #4b5866; stroke-width: 1.6; fill: none; marker-end: url(#tip); }
#tip path { marker-end: none; fill: #4b5866; stroke: none; }
"""


def box(x: float, y: float, width: float, height: float, *lines: str, kind: str = "") -> str:
    """Draw a box with centred lines of text; the first is large, the others small."""
    middle, top = x + width / 2, y + height / 2 - 8 * (len(lines) - 1) + 5
    texts = [
        text(middle, top + 17 * row, line, "small" if row else "") for row, line in enumerate(lines)
    ]
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>' + "".join(
        texts
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Write a line of text."""
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'


def arrow(*points: tuple[float, float]) -> str:
    """Draw an arrow along points."""
    return '<path d="M' + " L".join(f"{x} {y}" for x, y in points) + '"/>'


def tokens(config: ModelConfig) -> list[str]:
    """Draw one cell as tokens, and what each becomes."""
    parts = [box(20, 20, 1160, 200, kind="panel"), text(36, 46, "1  A cell becomes tokens", "head")]
    for place, (gene, level) in enumerate(TOKENS):
        x = 36 + 118 * place
        parts += [box(x, 62, 108, 30, gene, kind="gene"), arrow((x + 54, 126), (x + 54, 152))]
        parts += [box(x, 96, 108, 28, f"bin {level}" if level else "-", kind="value")]
        parts += [box(x, 156, 108, 30, f"{config.d_model} numbers")]
    parts += [text(646, 82, "…"), text(646, 176, "…")]
    said = [
        "One token a gene that the cell expresses, in the vocabulary's",
        f"order. Its value is its bin: 1 to {config.n_bins - 1}, by the cell's own",
        "quantiles; so depth matters little.",
        "",
        "Norm( LayerNorm( E[gene] ) + ValueEncoder( bin ) )",
    ]
    parts += [text(690, 82 + 21 * row, line, "left") for row, line in enumerate(said)]
    return [
        *parts,
        text(
            36,
            208,
            "a few of its tokens; widths and layers are those of the preset base",
            "small left",
        ),
    ]


def layer(config: ModelConfig) -> list[str]:
    """Draw the bidirectional layer with its two directions."""
    head = (
        f"2  {config.n_layers} layers, each reads the row in both directions with the same weights"
    )
    parts = [box(20, 236, 1160, 250, kind="panel"), text(36, 262, head, "head")]
    parts += [box(40, 346, 80, 50, "x", f"{config.d_model} wide")]
    parts += [box(150, 346, 90, 50, "RMS norm"), box(270, 346, 100, 50, "In", "linear", kind="mix")]
    for y, flipped in ((286, False), (406, True)):
        direction = "last gene to <cls>" if flipped else "<cls> to last gene"
        taps = f"{config.d_conv} taps"
        parts += [text(640, y - 6 if not flipped else y + 66, direction, "small")]
        parts += [box(490, y, 110, 50, "convolution", taps, kind="scan")]
        scan = f"{config.n_heads} heads, {config.d_state} of state"
        parts += [box(620, y, 170, 50, "Mamba2 scan", scan, kind="scan")]
        parts += [box(810, y, 100, 50, "gated norm", kind="scan")]
        parts += [arrow((600, y + 25), (618, y + 25)), arrow((790, y + 25), (808, y + 25))]
        start = 400 if flipped else 370
        if flipped:
            parts += [box(400, y + 8, 60, 34, "flip"), box(930, y + 8, 60, 34, "flip")]
            parts += [arrow((370, 378), (384, 378), (384, y + 25), (398, y + 25))]
            parts += [arrow((460, y + 25), (488, y + 25)), arrow((910, y + 25), (928, y + 25))]
            parts += [arrow((990, y + 25), (1012, y + 25), (1012, 392))]
        else:
            parts += [arrow((start, 364), (384, 364), (384, y + 25), (488, y + 25))]
            parts += [arrow((910, y + 25), (1012, y + 25), (1012, 344))]
    parts += [arrow((120, 371), (148, 371)), arrow((240, 371), (268, 371))]
    parts += [box(985, 348, 54, 42, "mean"), box(1062, 346, 60, 50, "Out", "linear", kind="mix")]
    parts += [
        arrow((1039, 371), (1060, 371)),
        arrow((1122, 371), (1142, 371)),
        text(1156, 376, "+"),
    ]
    parts += ['<circle cx="1156" cy="371" r="11" fill="none" stroke="#4b5866"/>']
    parts += [arrow((80, 396), (80, 476), (1156, 476), (1156, 386))]
    return [
        *parts,
        text(600, 371, "pads stand on the right and are never read, in neither direction", "small"),
    ]


def heads() -> list[str]:
    """Draw what the tasks read of the last layer."""
    parts = [
        box(20, 502, 700, 268, kind="panel"),
        text(36, 528, "3  Heads read the states", "head"),
    ]
    for row, (state, told, verb) in enumerate(HEADS):
        y = 544 + 31 * row
        parts += [box(36, y, 200, 25, state, kind="mix"), arrow((236, y + 13), (262, y + 13))]
        parts += [box(266, y, 220, 25, told), text(506, y + 17, verb, "mono left")]
    return parts


def presets() -> list[str]:
    """Draw the table of presets, with the parameters that the code makes."""
    vocabulary = load_vocabulary().size
    parts = [box(736, 502, 444, 268, kind="panel"), text(752, 528, "Presets", "head")]
    columns = (
        (752, "preset", "left"),
        (960, "layers x width", "right"),
        (1060, "in layers", "right"),
    )
    parts += [text(x, 556, name, f"small {side}") for x, name, side in columns]
    parts += [text(1164, 556, "with E", "small right")]
    for row, name in enumerate(PRESETS):
        config = preset(name, vocabulary)
        with torch.device("meta"):
            backbone = Backbone(config)
        layers = sum(weight.numel() for weight in backbone.layers.parameters())
        whole = sum(weight.numel() for weight in backbone.parameters())
        y = 578 + 22 * row
        parts += [text(752, y, name, "mono left")]
        parts += [text(960, y, f"{config.n_layers} x {config.d_model:,}", "right")]
        parts += [text(1060, y, f"{layers / 1e6:.2f} M", "right")]
        parts += [text(1164, y, f"{whole / 1e6:.1f} M", "right")]
    return [
        *parts,
        text(752, 752, f"E: an embedding for each of {vocabulary:,} tokens", "small left"),
    ]


def draw() -> str:
    """Return the figure as SVG."""
    config = preset("base", load_vocabulary().size)
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    body = [*tokens(config), *layer(config), *heads(), *presets()]
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 790" role="img">',
            "<title>How the model works: tokens, the bidirectional layer, heads, presets</title>",
            f"<style>{STYLE}</style>{tip}",
            '<rect x="0" y="0" width="1200" height="790" style="stroke:none"/>',
            *body,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PLACE.write_text(draw(), "utf-8")
