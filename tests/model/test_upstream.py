"""Released weights: every output, every tensor accounted for, and every way in which a folder is wrong."""

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.released import (
    ARGS,
    LAYERS,
    NAMES,
    WIDTH,
    batch_norm,
    plain_outputs,
    random_state,
    write_release,
)

from sc_mamba2.errors import UserError
from sc_mamba2.model import PretrainedModel, read_checkpoint
from sc_mamba2.model.upstream import import_release

PATHS = ("blocked", "reference")
GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "upstream_small"
STATE = random_state()
PAD, CLS = NAMES.index("<pad>"), NAMES.index("<cls>")


def imported(tmp_path, **parts):
    import_release(write_release(tmp_path / "released", **parts), tmp_path / "ours")
    return PretrainedModel.from_pretrained(tmp_path / "ours")


def refused(tmp_path, domain=None, **parts):
    folder = write_release(tmp_path / "released", **parts)
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours", domain=domain)
    assert not (tmp_path / "ours").exists()
    return caught.value


def without(*names):
    return {name: tensor for name, tensor in STATE.items() if name not in names}


def some_cells():
    """Three cells of 7, 4 and 1 real tokens, right-padded, `<cls>` first."""
    ids = torch.tensor([[CLS, 0, 2, 3, 5, 6, 9], [CLS, 8, 3, 0] + [PAD] * 3, [CLS] + [PAD] * 6])
    values = torch.tensor([[0.0, 3, 50, 0, 50, 1, 2], [0, 9, 8, 1] + [-2] * 3, [0] + [-2] * 6])
    return ids, values


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    if not GOLDEN.is_dir():
        pytest.skip("needs ../shared/golden/upstream_small")
    folder = tmp_path_factory.mktemp("golden") / "ours"
    report = import_release(GOLDEN, folder)
    return PretrainedModel.from_pretrained(folder), report


@pytest.mark.parametrize("path", PATHS)
def test_the_golden_outputs(golden, path):
    model, _ = golden
    expected = load_file(GOLDEN / "expected.safetensors")
    ids = expected["token_ids"]
    model.backbone.scan_path = path
    with torch.no_grad():
        found = model(ids, expected["values"])
    real = ids != model.tokenizer.vocabulary.pad_id
    pairs = {
        "hidden": found.hidden_BLD[real] - expected["hidden"][real],
        "mlm_output": found.expression_BL[real] - expected["mlm_output"][real],
        "mvc_output": found.expression_from_cell_BL[real] - expected["mvc_output"][real],
        "cell_emb": found.cell_BD - expected["cell_emb"],
        "cls_output": found.class_logits_BK - expected["cls_output"],
    }
    worst = {name: float(difference.abs().max()) for name, difference in pairs.items()}
    assert max(worst.values()) < 1e-4, worst


def test_the_golden_folder_is_used_whole(golden):
    model, report = golden
    count = len(torch.load(GOLDEN / "best_model.pt", weights_only=True, mmap=True))
    assert (report.mapped, report.unused) == (count, [])
    names = json.loads((GOLDEN / "vocab.json").read_text())
    assert model.tokenizer.vocabulary.symbols == tuple(sorted(names, key=names.get))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("layers", ["mamba_encoder.layers", "transformer_encoder.layers"])
def test_every_output_is_that_of_the_plain_twin(tmp_path, path, zeros, layers):
    state = random_state(layers=layers, zeros=zeros)
    model = imported(tmp_path, state=state)
    model.backbone.scan_path = path
    ids, values = some_cells()
    with torch.no_grad():
        found = model(ids, values)._asdict()
    for row, real in enumerate((ids != PAD).sum(1).tolist()):
        expected = plain_outputs(state, ids[row, :real], values[row, :real], layers)
        assert expected.keys() == {name for name, part in found.items() if part is not None}
        for name, value in expected.items():
            ours = (
                found[name][row]
                if name in ("cell_BD", "class_logits_BK")
                else found[name][row, :real]
            )
            torch.testing.assert_close(ours.double(), value, rtol=2e-4, atol=2e-4, msg=name)


def test_every_tensor_is_taken_bit_by_bit(tmp_path):
    folder = write_release(tmp_path / "released", state=OrderedDict(STATE))
    report = import_release(folder, tmp_path / "ours")
    ours = read_checkpoint(tmp_path / "ours").state
    assert (report.mapped, report.unused) == (len(STATE), [])
    assert sorted(t.numpy().tobytes() for t in ours.values()) == sorted(
        t.numpy().tobytes() for t in STATE.values()
    )


@pytest.mark.parametrize("name", STATE)
def test_a_tensor_that_is_missing_is_named(tmp_path, name):
    error = refused(tmp_path, state=without(name))
    assert error.rule == "upstream-tensors" and name in error.found and "missing" in error.found


@pytest.mark.parametrize("name", STATE)
def test_a_tensor_that_was_renamed_is_named_under_both_names(tmp_path, name):
    error = refused(tmp_path, state=without(name) | {f"model.{name}": STATE[name]})
    assert error.rule == "upstream-tensors" and name in error.found
    if "embedding" not in name:
        assert f"unknown: model.{name}" in error.found


def reshaped():
    """Each tensor in every other shape of three: one row less, flat, with one more axis."""
    for name, tensor in STATE.items():
        changed = {"flat": tensor.flatten(), "one more axis": tensor[None]}
        changed |= {"one row less": tensor[:-1].clone()} if tensor.dim() else {}
        for change, other in changed.items():
            if other.shape != tensor.shape:
                slow = [pytest.mark.slow] * (change == "flat" and tensor.dim() > 1)
                yield pytest.param(name, other, marks=slow, id=f"{name}-{change}")


@pytest.mark.parametrize(("name", "tensor"), reshaped())
def test_a_tensor_of_another_shape_is_named(tmp_path, name, tensor):
    error = refused(tmp_path, state=STATE | {name: tensor})
    if name == "encoder.embedding.weight" and tensor.dim() == 2:
        assert error.rule == "upstream-vocabulary" and name in error.expected
    else:
        assert error.rule == "upstream-tensors" and name in error.found


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        ("extra.weight", torch.ones(2), "unknown: extra.weight"),
        ("bn.bias", torch.full((WIDTH,), float("nan")), "not finite: bn.bias"),
        ("decoder.fc.4.bias", torch.tensor([float("inf")]), "not finite: decoder.fc.4.bias"),
        ("bn.bias", torch.full((WIDTH,), 1e300, dtype=torch.float64), "not finite: bn.bias"),
        ("bn.bias", torch.ones(WIDTH, dtype=torch.int64), "bn.bias torch.int64"),
        ("bn.bias", torch.ones(WIDTH, dtype=torch.complex64), "bn.bias torch.complex64"),
        ("bn.num_batches_tracked", torch.tensor(7.0), "bn.num_batches_tracked torch.float32"),
        ("bn.running_var", -torch.ones(WIDTH), "negative: bn.running_var"),
        ("bn.bias", torch.zeros(1).expand(WIDTH), "more numbers than are stored: bn.bias"),
        ("encoder.embedding.weight", torch.zeros(1).expand(10**12, WIDTH), "more numbers than"),
        ("mamba_encoder.layers.99.mamba.D", torch.ones(4), "mamba_encoder.layers.2.*"),
        ("transformer_encoder.layers.0.mamba.D", torch.ones(4), "under two names"),
        ("cls_decoder.out_layer.bias", torch.ones(4), "cls_decoder.out_layer.bias (4,)"),
        ("bn.bias", torch.eye(3).to_sparse(), "'bn.bias'"),
        ("bn.bias", [1.0], "'bn.bias'"),
        ("a\x1b[2J", torch.ones(1), "not a named tensor"),
    ],
)
def test_a_wrong_tensor_is_refused_by_name(tmp_path, name, tensor, says):
    error = refused(tmp_path, state=STATE | {name: tensor})
    assert error.rule == "upstream-tensors" and says in error.found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("embsize", 2 * WIDTH),
        ("embsize", "wide"),
        ("nlayers", LAYERS + 1),
        ("mamba_layer", LAYERS - 1),
        ("n_layers_cls", 4),
        ("pad_token", "<mask>"),
        ("input_emb_style", "category"),
        ("n_bins", 2),
    ],
)
def test_args_that_the_tensors_contradict(tmp_path, key, value):
    error = refused(tmp_path, args=ARGS | {key: value})
    assert error.rule == "upstream-args" and key in error.found


def test_args_out_of_range_and_a_head_that_is_promised(tmp_path):
    assert refused(tmp_path, args=ARGS | {"dropout": 1.5}).rule == "model-config"
    state = {name: tensor for name, tensor in STATE.items() if "mvc" not in name}
    assert "do_mvc" in refused(tmp_path, state=state).found


def test_sizes_come_from_the_tensors_where_args_are_silent(tmp_path):
    config = imported(tmp_path, args={"mamba_layer": LAYERS, "nlayers": 99}).backbone.config
    assert (config.n_layers, config.d_model, config.d_state, config.head_dim) == (2, WIDTH, 8, 16)
    assert (config.norm, config.input_norm, config.pad_id) == ("none", "batch", PAD)


def test_heads_that_are_absent_give_none(tmp_path):
    state = {n: t for n, t in STATE.items() if not n.startswith(("decoder", "mvc", "cls_"))}
    found = imported(tmp_path, state=state, args={})(*some_cells())
    absent = (found.expression_BL, found.expression_from_cell_BL, found.class_logits_BK)
    assert absent == (None, None, None) and found.hidden_BLD.isfinite().all()


def test_tensors_of_single_tasks_are_named_and_left_out(tmp_path):
    extra = {
        "grad_reverse_discriminator.out_layer.weight": torch.ones(4, WIDTH),
        "batch_encoder.embedding.weight": torch.ones(4, WIDTH),
        "mod_encoder.enc_norm.bias": torch.ones(WIDTH),
        "dsbn.bns.0.weight": torch.ones(WIDTH),
    }
    folder = write_release(tmp_path / "released", state=STATE | extra)
    report = import_release(folder, tmp_path / "ours")
    assert (report.mapped, report.unused) == (len(STATE), list(extra))
    card = (tmp_path / "ours" / "MODEL_CARD.md").read_text()
    assert all(name in card for name in extra)


def test_decoders_that_read_a_batch_embedding_are_left_out(tmp_path):
    wide = {
        "decoder.fc.0.weight": torch.ones(WIDTH, 2 * WIDTH),
        "mvc_decoder.W.weight": torch.ones(2 * WIDTH, WIDTH),
    }
    batch = {"batch_encoder.embedding.weight": torch.ones(4, WIDTH)}
    folder = write_release(tmp_path / "released", state=STATE | wide | batch)
    report = import_release(folder, tmp_path / "ours")
    decoders = {name for name in STATE if name.startswith(("decoder.", "mvc_decoder."))}
    assert set(report.unused) == decoders | set(batch)
    assert PretrainedModel.from_pretrained(tmp_path / "ours")(*some_cells()).expression_BL is None
    error = refused(tmp_path / "again", state=STATE | wide)
    assert all(name in error.found for name in wide)


def test_a_norm_a_batch_needs_a_choice(tmp_path):
    plain = {name: tensor for name, tensor in STATE.items() if name.startswith("bn.")}
    state = without(*plain)
    for number in (0, 3):
        names = batch_norm(f"dsbn.bns.{number}")
        state |= {name: plain[f"bn.{name.rsplit('.', 1)[1]}"] + number for name in names}
    error = refused(tmp_path, state=state)
    assert error.rule == "upstream-norm" and "0, 3" in error.found and "--dsbn" in error.mend
    assert refused(tmp_path, state=state, domain=1).rule == "upstream-norm"
    assert refused(tmp_path, state=STATE, domain=0).rule == "upstream-norm"
    folder = write_release(tmp_path / "released", state=state)
    report = import_release(folder, tmp_path / "ours", domain=3)
    assert report.unused == list(batch_norm("dsbn.bns.0"))
    taken = read_checkpoint(tmp_path / "ours").state["backbone.input_norm.weight"]
    assert torch.equal(taken, plain["bn.weight"] + 3)
    del state["dsbn.bns.3.running_var"]
    assert "dsbn.bns.3.running_var" in refused(tmp_path / "again", state=state, domain=3).found


def test_half_precision_and_shared_memory_are_taken(tmp_path):
    half = {n: t.bfloat16() if t.is_floating_point() else t for n, t in STATE.items()}
    model = imported(tmp_path, state=half)
    weight = model.backbone.value_encoder.linear2.weight
    assert torch.equal(weight, half["value_encoder.linear2.weight"].float())
    names = ("bn.bias", "bn.weight", "encoder.enc_norm.bias")
    model = imported(tmp_path / "shared", state=STATE | dict.fromkeys(names, torch.ones(WIDTH)))
    assert (model.backbone.input_norm.bias == 1).all()
