"""The slow nodes, each with the probe that replaces it in a dry run."""

from collections.abc import Callable

from sc_mamba2.tasks.denoising.choose import choose
from sc_mamba2.tasks.denoising.probe import probe_denoising
from sc_mamba2.tasks.embedding.predict import encode_file
from sc_mamba2.tasks.embedding.probe import probe_encoding
from sc_mamba2.tasks.gene_network.probe import probe_scoring
from sc_mamba2.tasks.gene_network.scores import score_pairs
from sc_mamba2.tasks.perturbation.reverse.probe import probe_ranking
from sc_mamba2.tasks.perturbation.reverse.rank import fit_ranker
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.fit import pretrain
from sc_mamba2.tasks.pretraining.probe import probe_pretraining
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.probe import probe_fine_tuning, probe_prediction

PROBES: dict[Callable, Callable] = {
    fine_tune: probe_fine_tuning,
    predict: probe_prediction,
    encode_file: probe_encoding,
    score_pairs: probe_scoring,
    choose: probe_denoising,
    fit_ranker: probe_ranking,
    pretrain: probe_pretraining,
}
LONG = (make_corpus, *PROBES)  # the probe of `pretrain` reads the sources of the corpus itself
FORWARD = (predict,)  # timed by the speed of another probe, if their cells are known before
