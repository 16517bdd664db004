"""The checkpoints of a run: what comes back, which stay, which is the best. Faults: tests/faults."""

import json

import pytest
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset, read_checkpoint
from sc_mamba2.tokens import Tokenizer, TokenizerRules
from sc_mamba2.training import ModelContent, TrainingCheckpoints

NAMES = ("<pad>", "<cls>", *(f"ENSG{number:011d}" for number in range(5)))
VOCABULARY = Vocabulary("five", NAMES, NAMES)
SMALL = ModelContent({"weight": torch.ones(2)}, {"task": "toy"}, VOCABULARY, "# Toy\n")


def save(checkpoints, step, metric=None, state=None):
    return checkpoints.save(step, model=SMALL, tensors={}, state=state or {}, metric=metric)


def steps_of(checkpoints):
    return [int(path.name[5:]) for path in sorted(checkpoints.folder.glob("step-*"))]


def test_a_checkpoint_is_an_ordinary_folder_with_more_in_it(tmp_path):
    torch.manual_seed(0)
    config = preset("micro", VOCABULARY.size, d_model=16, d_state=8, head_dim=8, n_layers=1)
    model = PretrainedModel(Backbone(config), Tokenizer(VOCABULARY, TokenizerRules()), Heads())
    tensors = {
        "optimizer": {"a.exp_avg": torch.tensor([-0.0, float("nan"), 1e-45])},
        "random": {"torch": torch.get_rng_state()},
        "nothing": {},
    }
    state = {"epoch": 2, "position": 17, "seeds": [1, 2**63], "share": 0.1 + 0.2, "none": None}
    with TrainingCheckpoints(tmp_path / "runs" / "one") as checkpoints:
        path = checkpoints.save(
            1200, model=ModelContent.of(model), tensors=tensors, state=state, metric=0.25
        )
        found = checkpoints.newest()
    assert path == tmp_path / "runs" / "one" / "checkpoints" / "step-000001200"
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    further = {f"training_state/{kind}.safetensors" for kind in tensors}
    ordinary = {"config.json", "vocabulary.json", "model.safetensors", "MODEL_CARD.md"}
    assert files == ordinary | further | {"manifest.json", "training_state/state.json"}
    hashes = json.loads((path / "manifest.json").read_text())["sha256"]
    assert hashes.keys() == files - {"manifest.json"}
    assert (found.path, found.step, found.metric, found.state) == (path, 1200, 0.25, state)
    assert found.tensors.keys() == tensors.keys()
    for kind, named in tensors.items():
        assert found.tensors[kind].keys() == named.keys()
        for name, tensor in named.items():
            back = found.tensors[kind][name]
            assert torch.equal(back.view(torch.uint8), tensor.view(torch.uint8))
    again = PretrainedModel.from_pretrained(path)
    assert all(torch.equal(again.state_dict()[k], v) for k, v in model.state_dict().items())
    assert read_checkpoint(path).sha256 == found.checkpoint.sha256


def test_other_tensors_in_the_place_of_the_models(tmp_path):
    config = preset("micro", VOCABULARY.size, d_model=16, d_state=8, head_dim=8, n_layers=1)
    model = PretrainedModel(Backbone(config), Tokenizer(VOCABULARY, TokenizerRules()), Heads())
    gathered = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    with TrainingCheckpoints(tmp_path) as checkpoints:
        content = ModelContent.of(model, gathered)
        checkpoints.save(1, model=content, tensors={}, state={})
        state = checkpoints.newest().checkpoint.state
    assert all(not tensor.any() for tensor in state.values())


@pytest.mark.parametrize(
    ("keep_last", "higher", "left", "best"),
    [(1, False, [2, 6], 2), (2, False, [2, 5, 6], 2), (2, True, [3, 5, 6], 3), (9, True, None, 3)],
)
def test_the_last_ones_and_the_best_stay(tmp_path, keep_last, higher, left, best):
    metrics = [0.5, 0.2, 0.9, 0.2, float("nan"), None]
    with TrainingCheckpoints(tmp_path, keep_last, higher_is_better=higher) as checkpoints:
        for step, metric in enumerate(metrics, start=1):
            save(checkpoints, step, metric)
        assert steps_of(checkpoints) == (left or [1, 2, 3, 4, 5, 6])
        assert checkpoints.best().name == f"step-{best:09d}"
        marker = json.loads((checkpoints.folder / "best.json").read_text())
        assert marker == {
            "checkpoint": f"step-{best:09d}",
            "step": best,
            "metric": metrics[best - 1],
        }
        assert checkpoints.newest().metric is None


def test_without_a_metric_there_is_no_best(tmp_path):
    with TrainingCheckpoints(tmp_path, 1) as checkpoints:
        save(checkpoints, 1)
        save(checkpoints, 2)
        assert steps_of(checkpoints) == [2]
        assert checkpoints.best() is None


def test_an_empty_run_has_nothing(tmp_path):
    checkpoints = TrainingCheckpoints(tmp_path / "run")
    assert checkpoints.newest() is None and checkpoints.best() is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", [1, 5])
def test_a_whole_later_checkpoint_is_never_lost_to_an_earlier_step(tmp_path, step):
    with TrainingCheckpoints(tmp_path) as checkpoints:
        save(checkpoints, 5)
        with pytest.raises(UserError, match="checkpoint-exists"):
            save(checkpoints, step)
        assert steps_of(checkpoints) == [5]


def test_steps_sort_as_numbers(tmp_path):
    with TrainingCheckpoints(tmp_path, 2) as checkpoints:
        for step in (999_999_999, 1_000_000_000):
            save(checkpoints, step)
        assert checkpoints.newest().step == 1_000_000_000


@pytest.mark.parametrize("state", [{"nan": float("nan")}, {"tensor": torch.ones(1)}])
def test_a_state_that_json_cannot_hold_is_our_mistake(tmp_path, state):
    with TrainingCheckpoints(tmp_path) as checkpoints:
        with pytest.raises((TypeError, ValueError)):
            save(checkpoints, 1, state=state)
        assert [path.name for path in checkpoints.folder.iterdir()] == []


def test_a_folder_that_cannot_be_resumed_from_is_passed_over(tmp_path, caplog):
    with TrainingCheckpoints(tmp_path) as checkpoints:
        save(checkpoints, 1)
        torch.manual_seed(0)
        config = preset("micro", VOCABULARY.size, d_model=16, d_state=8, head_dim=8, n_layers=1)
        model = PretrainedModel(Backbone(config), Tokenizer(VOCABULARY, TokenizerRules()), Heads())
        model.save_pretrained(checkpoints.folder / "step-000000002")
        assert checkpoints.newest().step == 1
    assert "a checkpoint with training state" in caplog.text


def test_the_run_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), TrainingCheckpoints(tmp_path):
        raise ZeroDivisionError
    with TrainingCheckpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="run-locked"), TrainingCheckpoints(tmp_path):
            pass
        save(checkpoints, 1)
