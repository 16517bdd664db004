"""The state of an optimizer as flat tensors and a table for JSON, by the names of the parameters."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_TUPLES = ("betas",)  # JSON knows lists alone, and AdamW unpacks either


def flatten_optimizer(state_dict: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take the state of an optimizer apart.

    Parameters
    ----------
    state_dict
        By parameter name, as `torch.distributed.checkpoint.state_dict.get_optimizer_state_dict`
        gives it: ``{"state": {name: {"exp_avg": …}}, "param_groups": [{"params": [name], …}]}``.

    Returns
    -------
    tensors
        ``{"encoder.weight.exp_avg": …}``, the very tensors of `state_dict`.
    table
        What is no tensor, ready for JSON: the groups with their rates, and the rest of the state.
    """
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for parameter, state in state_dict["state"].items():
        for entry, value in state.items():
            assert "." not in entry
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{entry}"] = value
            else:
                scalars.setdefault(parameter, {})[entry] = value
    groups = [dict(group) for group in state_dict["param_groups"]]
    return tensors, {"param_groups": groups, "scalars": scalars}


def unflatten_optimizer(tensors: Mapping[str, Tensor], table: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what `flatten_optimizer` took apart, also after a way through JSON.

    Returns
    -------
    dict
        For `torch.distributed.checkpoint.state_dict.set_optimizer_state_dict`.
    """
    state: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        parameter, entry = name.rsplit(".", 1)
        state.setdefault(parameter, {})[entry] = tensor
    for parameter, entries in table["scalars"].items():
        state.setdefault(parameter, {}).update(entries)
    groups = [
        {key: tuple(value) if key in _TUPLES else value for key, value in group.items()}
        for group in table["param_groups"]
    ]
    return {"state": state, "param_groups": groups}
