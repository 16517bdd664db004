"""Derive config and heads of a released model from tensor shapes, checked against `args.json`.

A size shared by several tensors is decided by majority, so that `rename` can name the one that differs.
D width, I inner width, H heads, N state, V vocabulary, K classes.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.model.config import PRESETS, ModelConfig
from sc_mamba2.model.pretrained import Heads
from sc_mamba2.model.upstream.names import LAYERS, is_overstated, wrong_tensors

EMBEDDING = "encoder.embedding.weight"
_CLASSIFIER = re.compile(r"cls_decoder\._decoder\.(\d{1,6})\.")
_HELD, _BUILT = "as best_model.pt has it", "which is what can be read"
_BLOCK = 3  # linear, ReLU, layer norm


def layer_prefix(state: Mapping[str, Tensor]) -> str:
    """Return the prefix of the layers in this file; the documented one if there are none."""
    found = [prefix for prefix in LAYERS if any(name.startswith(prefix) for name in state)]
    if len(found) > 1:
        raise wrong_tensors(f"layers under two names, {' and '.join(found)}")
    return found[0] if found else LAYERS[0]


def embedding_rows(state: Mapping[str, Tensor]) -> int:
    """Return the rows of the gene embedding, V; raise if it is missing or not a complete matrix."""
    tensor = state.get(EMBEDDING)
    if tensor is None:
        raise wrong_tensors(f"missing: {EMBEDDING}")
    if tensor.dim() != 2 or not len(tensor):
        raise wrong_tensors(f"of another shape: {EMBEDDING} {tuple(tensor.shape)} for (V, D)")
    if is_overstated(tensor):
        raise wrong_tensors(f"of more numbers than are stored: {EMBEDDING}")
    return len(tensor)


def derive_config(
    state: Mapping[str, Tensor], args: Mapping[str, Any], rows: int, pad_id: int
) -> ModelConfig:
    """Derive the backbone's config from tensors and `args.json`.

    Parameters
    ----------
    state
        Tensors by released name.
    args
        `embsize`, `mamba_layer` or else `nlayers`, `pad_token`, `dropout`, `n_bins`,
        `input_emb_style`; missing ones are taken from the tensors or the release's defaults.
    rows, pad_id
        Rows of the embedding, and the row of `<pad>`.

    Raises
    ------
    UserError
        Rule `upstream-args` if args and tensors differ or the architecture is not supported,
        `upstream-tensors` if the tensors do not determine a size.
    """
    layers = _layer_count(state)
    width = _vote(state, {"encoder.enc_norm.weight": 0, "encoder.enc_norm.bias": 0, EMBEDDING: 1})
    _agree(args, "embsize", width, _HELD)
    _agree(args, "mamba_layer" if "mamba_layer" in args else "nlayers", layers, _HELD)
    _agree(args, "pad_token", "<pad>", _BUILT)
    _agree(args, "input_emb_style", "continuous", _BUILT)
    inner, heads, d_state, taps = _mixer_sizes(state, layers)
    for whole, part, what in ((inner, width, "width"), (inner, heads, "heads")):
        if whole % part:
            raise wrong_tensors(
                f"an inner width of {whole} that is not a multiple of {part} {what}"
            )
    fields = {
        **PRESETS["upstream-625m"],
        "vocabulary_size": rows,
        "pad_id": pad_id,
        "d_model": width,
        "n_layers": layers,
        "d_state": d_state,
        "d_conv": taps,
        "expand": inner // width,
        "head_dim": inner // heads,
        **{name: args[name] for name in ("dropout", "n_bins") if name in args},
    }
    return ModelConfig.build(**fields)


def derive_heads(
    state: Mapping[str, Tensor], args: Mapping[str, Any], width: int
) -> tuple[Heads, tuple[str, ...]]:
    """Derive which heads a released model has.

    Returns the heads, and the prefixes of expression heads that are left out because their input includes
    a task's batch or modality embedding. Raises as `derive_config`.
    """
    appended = _has(state, "batch_encoder.") or _has(state, "mod_encoder.")
    inputs = {"decoder.": ("decoder.fc.0.weight", 1), "mvc_decoder.": ("mvc_decoder.W.weight", 0)}
    left_out = tuple(
        prefix
        for prefix, place in inputs.items()
        if appended and (_size(state, *place) or 0) > width
    )
    if args.get("do_mvc") is True and not _has(state, "mvc_decoder."):
        raise clash("do_mvc true", "false: best_model.pt has no mvc_decoder")
    blocks = {int(found[1]) // _BLOCK for name in state if (found := _CLASSIFIER.match(name))}
    classes = 0
    if _has(state, "cls_decoder."):
        classes = _vote(state, {f"cls_decoder.out_layer.{end}": 0 for end in ("weight", "bias")})
        _agree(args, "n_layers_cls", len(blocks) + 1, _HELD)
    expression, cell_expression = (
        _has(state, prefix) and prefix not in left_out for prefix in inputs
    )
    heads = Heads(
        genes=False,
        expression=expression,
        expression_zeros=expression and _has(state, "decoder.zero_logit."),
        cell_expression=cell_expression,
        cell_expression_zeros=cell_expression and _has(state, "mvc_decoder.W_zero_logit."),
        classes=classes,
        classifier_layers=len(blocks),
    )
    return heads, left_out


def _layer_count(state: Mapping[str, Tensor]) -> int:
    prefix = layer_prefix(state)
    layer = re.compile(re.escape(prefix) + r"(\d{1,6})\.")
    numbers = {int(found[1]) for name in state if (found := layer.match(name))}
    gaps = [f"{prefix}{number}.*" for number in range(len(numbers)) if number not in numbers]
    if not numbers or gaps:
        raise wrong_tensors(f"missing: {gaps[0] if gaps else prefix + '0.*'}")
    return len(numbers)


def _mixer_sizes(state: Mapping[str, Tensor], layers: int) -> tuple[int, int, int, int]:
    """Return inner width I, heads H, state size N and taps."""
    prefix = layer_prefix(state)

    def vote(places: dict[str, int]) -> int:
        names = [
            (f"{prefix}{i}.mamba.{end}", at) for i in range(layers) for end, at in places.items()
        ]
        return _vote(state, dict(names))

    inner = vote({"norm.weight": 0, "out_proj.weight": 1})
    heads = vote({"dt_bias": 0, "A_log": 0, "D": 0})
    channels = vote({"conv1d.weight": 0, "conv1d.bias": 0})
    if channels <= inner or (channels - inner) % 2:
        raise wrong_tensors(
            f"{channels} channels in conv1d for an inner width of {inner}: no states between them"
        )
    return inner, heads, (channels - inner) // 2, vote({"conv1d.weight": 2})


def _vote(state: Mapping[str, Tensor], places: Mapping[str, int]) -> int:
    """Return the size that most tensors have at their axis; raise for a tie or if there is none."""
    sizes = {name: _size(state, name, axis) for name, axis in places.items()}
    ranked = Counter(size for size in sizes.values() if size).most_common(2)
    if not ranked:
        raise wrong_tensors(f"missing, or of another shape: {', '.join(list(places)[:3])}")
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        shapes = ", ".join(f"{name} {tuple(state[name].shape)}" for name in sizes if name in state)
        raise wrong_tensors(f"of shapes that contradict each other: {shapes}")
    return ranked[0][0]


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int | None:
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and axis < tensor.dim() else None


def _has(state: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


def _agree(args: Mapping[str, Any], key: str, held: Any, why: str) -> None:
    if key in args and args[key] != held:
        raise clash(f"{key} {args[key]!r:.80}", f"{held!r}, {why}")


def clash(claimed: str, expected: str) -> UserError:
    """Return the error for an `args.json` that contradicts the weights or is not supported."""
    return UserError(
        "upstream-args",
        found=f"{claimed} in args.json",
        expected=expected,
        mend="use the three files of the same released folder",
    )
