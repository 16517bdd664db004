"""A small folder in the layout of the authors' release, and a plain, slow twin of what it computes.

The twin reads the released tensors by their released names, one token at a time, in double precision;
it shares no line with `sc_mamba2`.
"""

import json

import torch
from torch.nn import functional

WIDTH, LAYERS, STATE, TAPS, HEAD, CLASSES = 32, 2, 8, 4, 16, 3
INNER = 2 * WIDTH
HEADS = INNER // HEAD
CHANNELS = INNER + 2 * STATE
NAMES = ("CD3E", "<pad>", "MS4A1", "no-such-gene", "<cls>", "GNLY", "NKG7", "<eoc>", "LYZ", "PPBP")
ARGS = {
    "embsize": WIDTH,
    "nlayers": LAYERS,
    "n_layers_cls": 3,
    "pad_token": "<pad>",
    "pad_value": -2,
    "dropout": 0.1,
    "n_bins": 51,
    "do_mvc": True,
}


def linear(name, out, width, bias=True):
    return {f"{name}.weight": (out, width)} | ({f"{name}.bias": (out,)} if bias else {})


def norm(name, width=WIDTH):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name):
    moments = {f"{name}.running_mean": (WIDTH,), f"{name}.running_var": (WIDTH,)}
    return norm(name) | moments | {f"{name}.num_batches_tracked": ()}


def shapes(layers="mamba_encoder.layers", zeros=False):
    """Name and shape of every released tensor."""
    found = {"encoder.embedding.weight": (len(NAMES), WIDTH)} | norm("encoder.enc_norm")
    found |= linear("value_encoder.linear1", WIDTH, 1)
    found |= linear("value_encoder.linear2", WIDTH, WIDTH) | norm("value_encoder.norm")
    found |= batch_norm("bn")
    for number in range(LAYERS):
        mamba = f"{layers}.{number}.mamba"
        found |= {f"{mamba}.{end}": (HEADS,) for end in ("dt_bias", "A_log", "D")}
        found |= linear(f"{mamba}.in_proj", INNER + CHANNELS + HEADS, WIDTH, bias=False)
        found |= {
            f"{mamba}.conv1d.weight": (CHANNELS, 1, TAPS),
            f"{mamba}.conv1d.bias": (CHANNELS,),
        }
        found |= {f"{mamba}.norm.weight": (INNER,)}
        found |= linear(f"{mamba}.out_proj", WIDTH, INNER, bias=False)
    for network in ("fc", "zero_logit")[: 1 + zeros]:
        for place, out in ((0, WIDTH), (2, WIDTH), (4, 1)):
            found |= linear(f"decoder.{network}.{place}", out, WIDTH)
    for place in (0, 3):
        found |= linear(f"cls_decoder._decoder.{place}", WIDTH, WIDTH)
        found |= norm(f"cls_decoder._decoder.{place + 2}")
    found |= linear("cls_decoder.out_layer", CLASSES, WIDTH)
    found |= linear("mvc_decoder.gene2query", WIDTH, WIDTH)
    found |= linear("mvc_decoder.W", WIDTH, WIDTH, bias=False)
    return found | (linear("mvc_decoder.W_zero_logit", WIDTH, WIDTH) if zeros else {})


def random_state(**form):
    """Random tensors of a release; every one matters to some output."""
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, shape in shapes(**form).items():
        tensor = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            tensor = tensor.abs() + 0.5
        elif name.endswith("num_batches_tracked"):
            tensor = torch.tensor(7)
        elif len(shape) == 2 and "embedding" not in name:
            tensor = tensor / shape[1] ** 0.5
        state[name] = tensor
    return state


def write_release(folder, state=None, args=None, names=None):
    """Write the three files of a released folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(random_state() if state is None else state, folder / "best_model.pt")
    (folder / "args.json").write_text(json.dumps(ARGS if args is None else args))
    rows = {name: row for row, name in enumerate(NAMES)} if names is None else names
    (folder / "vocab.json").write_text(json.dumps(rows))
    return folder


def plain_outputs(state, ids, values, layers="mamba_encoder.layers"):
    """Compute every output of one cell without pads: ids and values, (L,)."""
    w = {name: tensor.double() for name, tensor in state.items()}

    def apply(name, x):
        bias = w.get(f"{name}.bias")
        return x @ w[f"{name}.weight"].T + (0 if bias is None else bias)

    def layer_norm(name, x):
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred**2).mean(-1, keepdim=True) + 1e-5
        return centred / spread.sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    genes = layer_norm("encoder.enc_norm", w["encoder.embedding.weight"][ids])
    value = apply("value_encoder.linear1", values.double().clamp(max=512)[:, None]).relu()
    x = genes + layer_norm("value_encoder.norm", apply("value_encoder.linear2", value))
    x = (x - w["bn.running_mean"]) / (w["bn.running_var"] + 6.1e-5).sqrt()
    x = x * w["bn.weight"] + w["bn.bias"]
    for number in range(LAYERS):
        mamba = {
            name.removeprefix(f"{layers}.{number}.mamba."): tensor
            for name, tensor in w.items()
            if name.startswith(f"{layers}.{number}.mamba.")
        }
        x = x + (plain_mamba(mamba, x) + plain_mamba(mamba, x.flip(0)).flip(0)) / 2

    def network(name, places, x):
        for place in places[:-1]:
            x = functional.leaky_relu(apply(f"{name}.{place}", x))
        return apply(f"{name}.{places[-1]}", x)[..., 0]

    cell, query = x[0], torch.sigmoid(apply("mvc_decoder.gene2query", genes))
    kinds = x[0]
    for place in (0, 3):
        kinds = apply(f"cls_decoder._decoder.{place}", kinds).relu()
        kinds = layer_norm(f"cls_decoder._decoder.{place + 2}", kinds)
    found = {
        "hidden_BLD": x,
        "expression_BL": network("decoder.fc", (0, 2, 4), x),
        "expression_from_cell_BL": apply("mvc_decoder.W", query) @ cell,
        "cell_BD": cell,
        "class_logits_BK": apply("cls_decoder.out_layer", kinds),
    }
    if "decoder.zero_logit.0.weight" in w:
        logit = network("decoder.zero_logit", (0, 2, 4), x)
        found["expression_nonzero_BL"] = torch.sigmoid(logit)
        logit = apply("mvc_decoder.W_zero_logit", query) @ cell
        found["expression_from_cell_nonzero_BL"] = torch.sigmoid(logit)
    return found


def plain_mamba(w, x):
    """Run one Mamba2 mixer over (L, D), token by token."""
    gate, inputs, steps = (x @ w["in_proj.weight"].T).split([INNER, CHANNELS, HEADS], dim=1)
    window = torch.zeros(TAPS, CHANNELS, dtype=x.dtype)
    memory = torch.zeros(HEADS, HEAD, STATE, dtype=x.dtype)
    rows = []
    for z, channels, step in zip(gate, inputs, steps, strict=True):
        window = torch.cat([window[1:], channels[None]])
        mixed = (window * w["conv1d.weight"][:, 0].T).sum(0) + w["conv1d.bias"]
        u, b, c = functional.silu(mixed).split([INNER, STATE, STATE])
        u = u.reshape(HEADS, HEAD)
        dt = functional.softplus(step + w["dt_bias"])
        decay = torch.exp(-dt * w["A_log"].exp())
        memory = decay[:, None, None] * memory + (dt[:, None] * u)[..., None] * b
        y = (memory @ c + w["D"][:, None] * u).reshape(INNER) * functional.silu(z)
        rows.append(y / ((y**2).mean() + 1e-5).sqrt() * w["norm.weight"])
    return torch.stack(rows) @ w["out_proj.weight"].T
