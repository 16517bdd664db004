"""Map released tensors to ours, list unused ones, and validate them all."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.model.manifest import some

LAYERS = ("mamba_encoder.layers.", "transformer_encoder.layers.")
# Task-specific heads (adversary, batch and modality embeddings) that our model does not have.
TASK_ONLY = ("grad_reverse_discriminator.", "batch_encoder.", "mod_encoder.")
DOMAINS = "dsbn.bns."
_OURS_TO_RELEASED = {
    "backbone.gene_encoder.embedding.": "encoder.embedding.",
    "backbone.gene_encoder.norm.": "encoder.enc_norm.",
    "backbone.value_encoder.": "value_encoder.",
    "backbone.input_norm.": "bn.",
    "expression_decoder.": "decoder.",
    "cell_expression_decoder.": "mvc_decoder.",
    "classifier.decoder.": "cls_decoder._decoder.",
    "classifier.out_layer.": "cls_decoder.out_layer.",
}
_OUR_LAYER = re.compile(r"backbone\.layers\.(\d+)\.mixer\.")


def released_name(ours: str, layers: str, domain: int | None) -> str:
    """Return the released name of one of our tensors.

    Parameters
    ----------
    ours
        Name in the state dict of `PretrainedModel`.
    layers
        Prefix of the layers in this file, one of `LAYERS`.
    domain
        Batch whose norm is taken from a DSBN; `None` for the plain batch norm.
    """
    if layer := _OUR_LAYER.match(ours):
        return f"{layers}{layer[1]}.mamba.{ours[layer.end() :]}"
    for prefix, released in _OURS_TO_RELEASED.items():
        if ours.startswith(prefix):
            start = released if released != "bn." or domain is None else f"{DOMAINS}{domain}."
            return start + ours.removeprefix(prefix)
    raise AssertionError(ours)


def unused(names: Iterable[str], prefixes: tuple[str, ...]) -> list[str]:
    """Return the names that start with one of the prefixes, in their order."""
    return [name for name in names if name.startswith(prefixes)]


def rename(
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    released: Mapping[str, str],
    left_out: Iterable[str],
) -> dict[str, Tensor]:
    """Rename all tensors, after validating them.

    Parameters
    ----------
    state
        Tensors by released name.
    wanted
        Our tensors by our name; only type and shape matter.
    released
        Our name to the released one.
    left_out
        Released names that are not used.

    Returns
    -------
    dict
        Tensors by our name, floating ones in single precision.

    Raises
    ------
    UserError
        Rule `upstream-tensors`, naming every tensor that is missing, unknown, of the wrong shape or type,
        larger than its storage, not finite, or a negative variance.
    """
    known = {released[ours]: tensor for ours, tensor in wanted.items()}
    expected = known.keys() | set(left_out)
    shared = [name for name in known if name in state]
    faults = {
        "missing": [name for name in known if name not in state],
        "unknown": [name for name in state if name not in expected],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} for {tuple(known[name].shape)}"
            for name in shared
            if state[name].shape != known[name].shape
        ],
        "of another type": [
            f"{name} {state[name].dtype}"
            for name in shared
            if state[name].is_floating_point() != known[name].is_floating_point()
            or state[name].is_complex()
        ],
        "of more numbers than are stored": [name for name in shared if is_overstated(state[name])],
    }
    _refuse_any(faults)
    taken = {ours: state[name].detach() for ours, name in released.items()}
    renamed = {ours: t.float() if t.is_floating_point() else t for ours, t in taken.items()}
    faults = {
        "not finite": [
            released[ours] for ours, tensor in renamed.items() if not tensor.isfinite().all()
        ],
        "negative": [
            released[ours]
            for ours, tensor in renamed.items()
            if ours.endswith("running_var") and bool((tensor < 0).any())
        ],
    }
    _refuse_any(faults)
    # safetensors does not store shared memory: clone tensors that share it.
    seen: set[int] = set()
    for name, tensor in renamed.items():
        place = tensor.untyped_storage().data_ptr()
        if place in seen:
            renamed[name] = tensor.clone()
        seen.add(place)
    return renamed


def is_overstated(tensor: Tensor) -> bool:
    """Whether a tensor claims more elements than its storage holds."""
    return tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size()


def _refuse_any(faults: Mapping[str, list[str]]) -> None:
    found = "; ".join(f"{kind}: {some(names)}" for kind, names in faults.items() if names)
    if found:
        raise wrong_tensors(found)


def wrong_tensors(found: str) -> UserError:
    """Return the error for tensors that are not those of the release."""
    return UserError(
        "upstream-tensors",
        found=found,
        expected="the tensors of the release, each once, complete and finite",
        mend="download the released folder again; its three files belong together",
    )
