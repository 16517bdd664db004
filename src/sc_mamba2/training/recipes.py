"""The parts of a pretraining: source of batches, model, losses and evaluation.

`MaskedBins` masks bins, as the release does; `LeftOutMolecules` splits counts.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.model.molecule_objective import MoleculeObjective
from sc_mamba2.model.objective import MaskedObjective
from sc_mamba2.tokens import Tokenizer, TokenStore
from sc_mamba2.training.components import start_genes, start_heads
from sc_mamba2.training.corpus_cells import even_sample, expressed_vocabulary, split_cells
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.masked_cells import MaskedCells
from sc_mamba2.training.masked_error import gene_means, masked_error
from sc_mamba2.training.molecules_held_out import molecules_held_out
from sc_mamba2.training.options import SamplingOptions
from sc_mamba2.training.pretraining import Judged
from sc_mamba2.training.ranks import Ranks
from sc_mamba2.training.thinned_cells import (
    ThinnedCells,
    genes_by_study,
    number_studies,
    type_targets,
)

_COUNTS = {"value_encoder": "counts", "initializer_std": 0.5}
_JUDGED_SHARE = 0.5  # share of the molecules kept in held-out cells


class Recipe(ABC):
    """The parts of one pretraining; `judges` says whether there are held-out cells."""

    shape: dict[str, Any]  # overrides of the backbone's preset
    source: MaskedCells | ThinnedCells  # of the training cells

    def __init__(self, job: PretrainJob, store: TokenStore, ranks: Ranks) -> None:
        self.job, self.store = job, store
        self.training, self.judging = split_cells(store, job.held_out)
        self.judges = len(self.judging) > 0

    @abstractmethod
    def heads(self) -> Heads:
        """Return the model's heads."""

    @abstractmethod
    def objective(self, model: PretrainedModel) -> Any:
        """Wrap a model with its losses."""

    @abstractmethod
    def judge(self, objective: Any, ranks: Ranks) -> Judged:
        """Evaluate a model on the held-out cells."""

    def new_model(self) -> PretrainedModel:
        """Build the initial model."""
        job, tokenizer = self.job, self.source.tokenizer
        vocabulary = tokenizer.vocabulary
        config = preset(
            job.shape.preset,
            vocabulary.size,
            pad_id=vocabulary.pad_id,
            n_bins=tokenizer.rules.n_bins,
            dropout=job.shape.dropout,
            **self.shape,
        )
        backbone = Backbone(config)
        backbone.scan_path = job.compute.scan_path
        backbone.recompute_layers = job.compute.recompute_layers
        cells = self.source.source.gather(even_sample(self.training, job.shape.start_cells))
        if job.shape.gene_start == "svd":
            start_genes(backbone.gene_embedding, cells, job.shape.start_scale, job.compute.seed)
        origin = {
            "cells trained on": len(self.training),
            "steps": job.training.steps,
            "cells a step": job.training.batch_size,
            "held out": ", ".join(job.held_out.values) or "nothing",
            "objective": job.training.objective,
            "seed": job.compute.seed,
        }
        model = PretrainedModel(backbone, tokenizer, self.heads(), origin)
        start_heads(model, cells)
        return model


class MaskedBins(Recipe):
    """Prediction of masked bins, from the token and from the cell embedding."""

    def __init__(self, job: PretrainJob, store: TokenStore, ranks: Ranks) -> None:
        super().__init__(job, store, ranks)
        self.shape = {"cell_start": job.shape.cell_start}
        vocabulary = expressed_vocabulary(store, self.training, job.shape.gene_cells, ranks)
        tokenizer = Tokenizer(vocabulary, store.tokenizer.rules)
        self.source = self._cells(self.training, tokenizer, job.sampling)
        some = even_sample(self.judging, job.keep.judge_cells)
        self.held_out = self._cells(some, tokenizer, SamplingOptions()) if self.judges else None
        self.means_V: Tensor | None = None

    def _cells(
        self, cells: np.ndarray, tokenizer: Tokenizer, sampling: SamplingOptions
    ) -> MaskedCells:
        size, seed = self.job.training.batch_size, self.job.compute.seed
        return MaskedCells(self.store, cells, tokenizer, sampling, self.job.masks, size, seed)

    def heads(self) -> Heads:
        """Return the model's heads."""
        return Heads(expression_zeros=True, cell_expression_zeros=True, genes=True)

    def objective(self, model: PretrainedModel) -> MaskedObjective:
        """Wrap a model with its losses."""
        return MaskedObjective(model, self.job.objective)

    def judge(self, objective: MaskedObjective, ranks: Ranks) -> Judged:
        """Evaluate the error of masked bins, with gene means as the baseline."""
        assert self.held_out is not None and isinstance(self.source, MaskedCells)
        if self.means_V is None:
            size = objective.model.backbone.config.vocabulary_size
            self.means_V = gene_means(self.source, size, self.job.keep.gene_mean_cells)
        together = self.job.training.micro_batch_size
        return masked_error(objective, self.held_out, self.means_V, together, ranks)


class LeftOutMolecules(Recipe):
    """Prediction of a cell's held-out molecules from the kept ones."""

    def __init__(self, job: PretrainJob, store: TokenStore, ranks: Ranks) -> None:
        super().__init__(job, store, ranks)
        self.shape = {**_COUNTS, "read_tokens": job.thinning.read_tokens}
        rules = store.tokenizer.rules
        if rules.bins != "counts":
            raise UserError(
                "corpus-bins",
                found=f"a corpus with tokens of {rules.bins}",
                expected="tokens of counts, so that molecules can be held out",
                mend="set pretraining.corpus.bins to counts, or pretraining.training.objective to bins",
            )
        self.studies_N, self.names = number_studies(store, job.held_out.column, self.training)
        trained = len(np.unique(self.studies_N[self.training]))
        cells_SV = genes_by_study(store, self.studies_N, len(self.names), ranks=ranks)
        tokenizer = Tokenizer(self._known_genes(cells_SV[:trained].sum(axis=0)), rules)
        self.trained = trained
        self.types = type_targets(store, self.training, job.shape.type_cells)
        rows = tokenizer.vocabulary.rows_of(store.tokenizer.vocabulary.ids)
        self.measured_SV = np.zeros((len(self.names), tokenizer.vocabulary.size), dtype=bool)
        self.measured_SV[:, rows[rows >= 0]] = cells_SV[:, rows >= 0] > 0
        self.source = self._cells(self.training, tokenizer, job.sampling, False)
        self.held_out = self._cells(self.judging, tokenizer, SamplingOptions(), True)
        groups = self.studies_N[self.judging]
        share = job.keep.judge_cells // max(1, len(self.names) - trained)
        self.judged = {
            self.names[study]: even_sample(self.judging[groups == study], max(1, share))
            for study in range(trained, len(self.names))
        }

    def _known_genes(self, cells_V: np.ndarray) -> Vocabulary:
        vocabulary, least = self.store.tokenizer.vocabulary, self.job.shape.gene_cells
        return vocabulary.subset([vocabulary.ids[row] for row in np.flatnonzero(cells_V >= least)])

    def _cells(
        self, cells: np.ndarray, tokenizer: Tokenizer, sampling: SamplingOptions, held_out: bool
    ) -> ThinnedCells:
        job, thinning = self.job, self.job.thinning
        if held_out:
            halves = {"min_share": _JUDGED_SHARE, "max_share": _JUDGED_SHARE}
            every = tokenizer.rules.max_length
            alone = {"study_dropout": 1.0, "read_tokens": every}
            thinning = thinning.model_copy(update=halves | alone)
        size, seed = job.training.batch_size, job.compute.seed
        where = (self.store, cells, tokenizer, self.studies_N, self.types.numbers_N)
        return ThinnedCells(*where, sampling, thinning, size, seed)

    def heads(self) -> Heads:
        """Return the model's heads."""
        return Heads(
            expression=False,
            cell_expression=False,
            molecules=True,
            studies=self.trained,
            types=tuple(self.types.terms),
        )

    def objective(self, model: PretrainedModel) -> MoleculeObjective:
        """Wrap a model with its losses."""
        tables = (self.measured_SV, self.types.is_CT, self.types.known_CT)
        return MoleculeObjective(model, self.job.molecules, *map(torch.from_numpy, tables))

    def judge(self, objective: MoleculeObjective, ranks: Ranks) -> Judged:
        """Evaluate the prediction of held-out molecules, with gene means of each study as the baseline."""
        together = self.job.training.micro_batch_size
        return molecules_held_out(objective, self.held_out, self.judged, together, ranks)


RECIPES: dict[str, type[Recipe]] = {"bins": MaskedBins, "molecules": LeftOutMolecules}
