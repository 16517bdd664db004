"""Few labels: when a consensus starts from a pretrained checkpoint, and what it says then."""

import numpy as np
import pytest
from anndata import AnnData

from sc_mamba2 import tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.model import read_checkpoint
from sc_mamba2.tasks.annotation.annotator import LABEL, Annotator
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tasks.annotation.few_labels import start_for_few_labels
from sc_mamba2.tasks.annotation.params import ConsensusParams, HeadParams
from sc_mamba2.tasks.shared.messages import NOTE
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams

DEFAULTS = {
    "tokenization": TokenizationParams(),
    "backbone": BackboneParams(),
    "head": HeadParams(),
    "consensus": ConsensusParams(),
}


@pytest.fixture(scope="module")
def cells():
    """Simulated cells whose genes the checkpoint knows well."""
    known = read_checkpoint("scm-counts").vocabulary
    simulated = simulate_cells(90, 1200)
    genes = np.asarray(known.ids)[known.gene_rows]
    simulated.var_names = np.random.default_rng(0).permutation(genes)[: simulated.n_vars]
    simulated.var = simulated.var[[]]
    simulated.obs[LABEL] = simulated.obs["cell_type"].astype(str)
    return simulated


def start(cells: AnnData, query: AnnData | None = None, **changed):
    return start_for_few_labels(cells, cells if query is None else query, **{**DEFAULTS, **changed})


def test_with_few_labels_vocabulary_and_backbone_are_the_checkpoints(cells):
    tokenization, backbone = start(cells)
    assert tokenization.vocabulary == backbone.checkpoint == "scm-counts"
    assert backbone.preset == BackboneParams().preset


@pytest.mark.parametrize(
    "changed",
    [
        {"consensus": ConsensusParams(few_labels=29)},
        {"consensus": ConsensusParams(few_labels=0)},
        {"consensus": ConsensusParams(experts=("logistic_regression", "rank_prototypes"))},
        {"head": HeadParams(keeps="sums")},
        {"head": HeadParams(fit="gradient")},
        {"backbone": BackboneParams(checkpoint="scm-tiny")},
        {"tokenization": TokenizationParams(vocabulary="scm-tiny")},
    ],
    ids=["many", "never", "not asked", "sums", "network", "checkpoint", "vocabulary"],
)
def test_nothing_changes_without_need_or_where_something_was_chosen(cells, changed):
    given = {**DEFAULTS, **changed}
    assert start(cells, **changed) == (given["tokenization"], given["backbone"])


def test_a_query_with_few_of_its_genes_is_called_without_and_told(cells, caplog):
    assert start(cells, cells[:, :60]) == (DEFAULTS["tokenization"], DEFAULTS["backbone"])
    assert "scm-counts cannot help: 60 of the" in caplog.text


def test_a_checkpoint_that_is_not_there_is_refused(cells):
    with pytest.raises(UserError, match="scm-cuonts"):
        start(cells, consensus=ConsensusParams(few_labels_start="scm-cuonts"))


def test_a_share_that_only_a_chosen_start_must_reach_refuses_nothing(cells):
    _, backbone = start(cells, backbone=BackboneParams(minimum_share=0.9))
    assert backbone.checkpoint == "scm-counts" and backbone.minimum_share == 0


def test_by_default_one_more_expert_calls_and_its_start_is_told(cells, tmp_path, caplog):
    assert load_vocabulary(TokenizationParams().vocabulary).rows_of(cells.var_names).min() >= 0
    reference, query = cells[:60].copy(), cells[60:].copy()
    options = {"label_key": LABEL, "copy": True, "save": tmp_path / "model"}
    with caplog.at_level(NOTE):
        annotated = tl.annotate(query, reference, **options)
    assert "starts from scm-counts" in caplog.text
    assert annotated.uns[keys.FACTS]["start"] == "scm-counts"
    weights = annotated.uns[keys.FACTS]["expert_weights"]
    assert list(weights)[-1] == "trunk_regression" and weights["trunk_regression"] > 0
    right = annotated.obs[keys.CELL_TYPE].astype(str) == query.obs[LABEL]
    assert right.mean() > 0.9
    model = Annotator.from_pretrained(tmp_path / "model")
    assert isinstance(model, ConsensusModel) and model.pretrained and model.start == "scm-counts"
    assert "scm-counts" in (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")
    assert annotated.obsm[keys.EMBEDDING].shape[1] == model.backbone.config.d_model
    again = tl.annotate(query, checkpoint=tmp_path / "model", copy=True)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])
