"""The pretrained model: what it is called with, and that saving and loading are inverse, bit by bit."""

import json
import subprocess
import sys

import pytest
import torch
from tests.released import write_release

import sc_mamba2
from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import (
    Backbone,
    Heads,
    ModelConfig,
    PretrainedModel,
    read_checkpoint,
    write_checkpoint,
)
from sc_mamba2.model.upstream import import_release
from sc_mamba2.tokens import Tokenizer, TokenizerRules

NAMES = ("A", "<pad>", "B", "<cls>", "C", "D")
VOCABULARY = Vocabulary("six", NAMES, NAMES)
IDS = torch.tensor([[3, 0, 2, 4, 5], [3, 5, 1, 1, 1]])
VALUES = torch.tensor([[0.0, 1, 2, 3, 4], [0, 50, -2, -2, -2]])
ALL = Heads(expression_zeros=True, cell_expression_zeros=True, classes=3)
NONE = Heads(expression=False, cell_expression=False)


def model_with(heads, origin=None, **fields):
    torch.manual_seed(0)
    shape = {"d_model": 16, "n_layers": 2, "head_dim": 8, "d_state": 4, **fields}
    config = ModelConfig.build(vocabulary_size=6, pad_id=1, **shape)
    tokenizer = Tokenizer(VOCABULARY, TokenizerRules(n_bins=9, max_length=7))
    return PretrainedModel(Backbone(config), tokenizer, heads, origin).eval()


@pytest.mark.parametrize("heads", [ALL, NONE, Heads(), Heads(classes=2, classifier_layers=0)])
@pytest.mark.parametrize(
    "fields", [{}, {"input_norm": "batch", "norm": "none", "final_norm": False}]
)
def test_saving_and_loading_are_inverse(tmp_path, heads, fields):
    model = model_with(heads, {"weights": "drawn", "n": 3}, **fields)
    model.save_pretrained(tmp_path / "one")
    back = sc_mamba2.from_pretrained(tmp_path / "one")
    assert back.description() == model.description() and not back.training
    assert back.tokenizer.vocabulary == VOCABULARY
    assert back.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(t, back.state_dict()[n]) for n, t in model.state_dict().items())
    for one, other in zip(model(IDS, VALUES), back(IDS, VALUES), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
    back.save_pretrained(tmp_path / "two")
    identities = [read_checkpoint(tmp_path / name).sha256 for name in ("one", "two")]
    assert identities[0] == identities[1]


def test_an_imported_checkpoint_is_written_again_byte_for_byte(tmp_path):
    import_release(write_release(tmp_path / "released"), tmp_path / "ours")
    sc_mamba2.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "again")
    for path in (tmp_path / "ours").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    card = (tmp_path / "again" / "MODEL_CARD.md").read_text()
    assert "CC BY-NC 4.0" in card and "non-commercial" in card and "matched" in card


def test_loading_draws_nothing(tmp_path):
    model_with(ALL).save_pretrained(tmp_path / "c")
    before = torch.get_rng_state()
    sc_mamba2.from_pretrained(tmp_path / "c")
    assert torch.equal(torch.get_rng_state(), before)


def test_outputs_have_their_shapes_and_are_zero_at_pads():
    found = model_with(ALL)(IDS, VALUES)
    shapes = {name: tuple(part.shape) for name, part in found._asdict().items()}
    assert shapes == {
        "hidden_BLD": (2, 5, 16),
        "expression_BL": (2, 5),
        "expression_from_cell_BL": (2, 5),
        "cell_BD": (2, 16),
        "class_logits_BK": (2, 3),
        "expression_nonzero_BL": (2, 5),
        "expression_from_cell_nonzero_BL": (2, 5),
    }
    assert torch.equal(found.cell_BD, found.hidden_BLD[:, 0])
    for name, part in found._asdict().items():
        if name.endswith(("BL", "BLD")):
            assert not part[1, 2:].any() and part[0].all()


def test_heads_that_are_absent_give_none():
    found = model_with(NONE)(IDS, VALUES)._asdict()
    assert {name for name, part in found.items() if part is not None} == {"hidden_BLD", "cell_BD"}
    found = model_with(Heads())(IDS, VALUES)
    assert found.expression_BL is not None and found.expression_nonzero_BL is None


def test_a_cell_does_not_depend_on_pads_or_its_batch():
    model = model_with(ALL).double()
    together, alone = model(IDS, VALUES), model(IDS[1:, :2], VALUES[1:, :2])
    for name, part in together._asdict().items():
        mine = part[1:, :2] if name.endswith(("BL", "BLD")) else part[1:]
        torch.testing.assert_close(mine, alone._asdict()[name], rtol=1e-11, atol=1e-11)
    changed = model(IDS, torch.where(IDS == 1, float("nan"), VALUES))
    assert all(torch.equal(a, b) for a, b in zip(together, changed, strict=True))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (torch.tensor([[3, 0, 1, 2]]), "a pad before a token"),
        (torch.tensor([[1, 3, 0, 2]]), "a pad before a token"),
        (torch.tensor([[3, 0, 6, 2]]), "ids from 0 to 6"),
        (torch.tensor([[3, 0, -1, 2]]), "ids from -1 to 3"),
        (torch.tensor([[3, 0, 2]]), "shapes (1, 3) and (1, 4)"),
        (torch.tensor([3, 0, 2, 2]), "shapes (4,) and (1, 4)"),
    ],
)
def test_tokens_that_would_be_misread_are_refused(ids, says):
    with pytest.raises(UserError) as caught:
        model_with(NONE)(ids, torch.zeros(1, 4))
    assert caught.value.rule == "token-ids" and says in caught.value.found


def test_rows_without_tokens_are_refused_and_an_empty_cell_is_not():
    with pytest.raises(UserError, match="one token at least"):
        model_with(NONE)(torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, 0))
    assert not model_with(NONE)(torch.ones(1, 3, dtype=torch.long), torch.zeros(1, 3)).cell_BD.any()


@pytest.mark.parametrize(
    ("task", "verb"), [("annotation", "scm annotate"), ("x", "scm VERB"), (None, "scm")]
)
def test_a_checkpoint_of_a_task_is_refused_with_its_verb(tmp_path, task, verb):
    model = model_with(NONE)
    write_checkpoint(
        tmp_path / "c",
        state=model.state_dict(),
        config=model.description() | {"task": task},
        vocabulary=VOCABULARY,
        model_card="",
    )
    with pytest.raises(UserError) as caught:
        sc_mamba2.from_pretrained(tmp_path / "c")
    assert caught.value.rule == "checkpoint-task" and verb in caught.value.mend


@pytest.mark.parametrize(
    "change", [{"heads": None}, {"heads": {"x": 1}}, {"tokenizer": {"n_bins": 0}}, {"origin": 3}]
)
def test_a_description_that_is_broken_is_refused(tmp_path, change):
    model = model_with(NONE)
    write_checkpoint(
        tmp_path / "c",
        state=model.state_dict(),
        config=model.description() | change,
        vocabulary=VOCABULARY,
        model_card="",
    )
    with pytest.raises(UserError) as caught:
        sc_mamba2.from_pretrained(tmp_path / "c")
    assert caught.value.rule == "checkpoint-config"


def test_tensors_of_other_heads_are_refused(tmp_path):
    model = model_with(ALL)
    config = model.description() | {"heads": json.loads(NONE.model_dump_json())}
    write_checkpoint(
        tmp_path / "c",
        state=model.state_dict(),
        config=config,
        vocabulary=VOCABULARY,
        model_card="",
    )
    with pytest.raises(UserError, match="unexpected: cell_expression_decoder") as caught:
        sc_mamba2.from_pretrained(tmp_path / "c")
    assert caught.value.rule == "checkpoint-state"


def test_released_weights_must_be_imported_first(tmp_path):
    with pytest.raises(UserError, match="scm import-weights") as caught:
        sc_mamba2.from_pretrained(write_release(tmp_path / "released"))
    assert caught.value.rule == "checkpoint-file"


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, sc_mamba2; assert sc_mamba2.from_pretrained; "
        "heavy = {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_half_the_room_and_the_same_arithmetic(tmp_path):
    model = model_with(Heads(genes=True))
    model.save_pretrained(tmp_path / "half", card="# Mine\n", half=True)
    assert (tmp_path / "half" / "MODEL_CARD.md").read_text() == "# Mine\n"
    back = sc_mamba2.from_pretrained(tmp_path / "half")
    for name, part in back.state_dict().items():
        assert part.dtype == torch.float32
        was = model.state_dict()[name]
        assert torch.equal(part, was.bfloat16().float() if was.dim() > 1 else was)
    stored = read_checkpoint(tmp_path / "half").state
    assert {part.dtype for part in stored.values() if part.dim() > 1} == {torch.bfloat16}
