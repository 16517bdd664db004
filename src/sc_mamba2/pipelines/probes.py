"""The nodes that take long, each with the probe that stands in for it in a dry run."""

from collections.abc import Callable

from sc_mamba2.pipelines.backbone.nodes import fine_tune, predict
from sc_mamba2.pipelines.backbone.probe import probe_fine_tuning, probe_prediction
from sc_mamba2.pipelines.embedding.encode import encode_file
from sc_mamba2.pipelines.embedding.probe import probe_encoding
from sc_mamba2.pipelines.gene_network.nodes import score_pairs
from sc_mamba2.pipelines.gene_network.probe import probe_scoring
from sc_mamba2.pipelines.pretraining.nodes import make_corpus, train
from sc_mamba2.pipelines.pretraining.probe import probe_pretraining
from sc_mamba2.pipelines.reverse_perturbation.nodes import fit_ranker
from sc_mamba2.pipelines.reverse_perturbation.probe import probe_ranking

PROBES: dict[Callable, Callable] = {
    fine_tune: probe_fine_tuning,
    predict: probe_prediction,
    encode_file: probe_encoding,
    score_pairs: probe_scoring,
    fit_ranker: probe_ranking,
    train: probe_pretraining,
}
LONG = (make_corpus, *PROBES)  # the probe of `train` reads what the corpus is made from
FORWARD = (predict,)  # told from the speed of another probe, where their cells are known before
