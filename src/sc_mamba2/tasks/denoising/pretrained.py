"""The prior of a pretrained model: rates predicted from a cell's counts, with a phi for each gene.

Legend: N cells, G genes, B cells of a block, J of the G genes that the model knows, V its vocabulary.
"""

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.special import softmax

from sc_mamba2.errors import UserError
from sc_mamba2.methods.gene_priors import NearestCells, gene_means
from sc_mamba2.methods.molecules import posterior_rates
from sc_mamba2.model import PretrainedModel
from sc_mamba2.model.molecules import MoleculePredictions, shift_to_means
from sc_mamba2.tokens import TokenizedCells, make_batch, reading_order
from sc_mamba2.training import choose_device
from sc_mamba2.training.corpus_cells import even_sample

_BATCH = 32


def read_molecule_model(checkpoint: str) -> PretrainedModel:
    """Load a model with a molecule head (raises rule ``checkpoint-heads``)."""
    model = PretrainedModel.from_pretrained(checkpoint)
    if model.molecule_decoder is None:
        raise UserError(
            "checkpoint-heads",
            found=f"'{checkpoint}' without a molecule head",
            expected="a model pretrained to predict held-out molecules",
            mend="use scm-counts, or pretrain with pretraining.training.objective=molecules",
        )
    return model


class PretrainedRates:
    """A prior: rates predicted by a pretrained model, shifted to the cells' gene means, plus neighbours.

    The neighbours' summed counts are used as in `NearestCells`, with these rates instead of the gene
    means: ``kappa`` is the shape of the neighbours' Gamma distribution around them.

    Genes unknown to the model get their means, and together their overall share of the molecules.

    Parameters
    ----------
    model
        A model with a molecule head.
    counts_NG
        Whole counts.
    genes_G
        Ensembl ids, at least one known to the model.
    near
        Neighbours by the same counts.
    most
        Number of cells, spread evenly, used to compute the shift to the gene means.
    device
        auto, cpu or cuda.
    """

    def __init__(
        self,
        model: PretrainedModel,
        counts_NG: sparse.csr_matrix,
        genes_G: np.ndarray,
        near: NearestCells,
        most: int,
        device: str,
    ) -> None:
        self._device = choose_device(device)
        self._model, self._counts_NG = model.to(self._device), counts_NG
        self._near = near
        self._means_G = gene_means(counts_NG)
        rows_G = model.tokenizer.vocabulary.rows_of(genes_G)
        self._known_G = np.flatnonzero(rows_G >= 0)
        self._rows_J = torch.from_numpy(rows_G[self._known_G]).to(self._device)
        self._tokens = count_tokens(model, counts_NG, genes_G)
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        some = even_sample(np.arange(counts_NG.shape[0]), most)
        log_rates_BJ, log_phi_BJ = self._predict(some)
        means_J = self._means_G[self._known_G]
        molecules_B = np.asarray(counts_NG[some].sum(axis=1), dtype=np.float32).ravel()
        shift_J = shift_to_means(
            torch.from_numpy(log_rates_BJ),
            torch.from_numpy(molecules_B),
            torch.from_numpy(np.log(means_J / means_J.sum())),
        )
        self._shift_J = shift_J.float().numpy()
        self._log_phi = np.median(log_phi_BJ)

    def __call__(self, rows_B: np.ndarray, neighbours: int = 0, kappa: float = 1.0) -> np.ndarray:
        """Return the prior of some cells; with 0 neighbours the model's prediction only."""
        log_rates_BJ, _ = self._predict(rows_B)
        moved_BJ = softmax(log_rates_BJ + self._shift_J, axis=1)
        prior_BG = np.tile(self._means_G.astype(np.float32), (len(rows_B), 1))
        prior_BG[:, self._known_G] = self._means_G[self._known_G].sum() * moved_BJ
        if not neighbours:
            return prior_BG
        summed_BG = self._near.sum_near(rows_B, neighbours).toarray()
        return posterior_rates(prior_BG, summed_BG, kappa)

    def relative_phi(self, rows_B: np.ndarray) -> np.ndarray:
        """Return each gene's phi relative to the median, (B, G); 1 for genes unknown to the model."""
        _, log_phi_BJ = self._predict(rows_B)
        phi_BG = np.ones((len(rows_B), self._counts_NG.shape[1]), dtype=np.float32)
        phi_BG[:, self._known_G] = np.exp(log_phi_BJ - self._log_phi)
        return phi_BG

    def _predict(self, rows_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log rates and log phi, (B, J); the last result is cached for the points of a grid."""
        if self._last is None or not np.array_equal(self._last[0], rows_B):
            shape = (2, len(rows_B), len(self._rows_J))
            predicted = np.zeros(shape, dtype=np.float32)
            for places in reading_order(self._tokens.lengths[rows_B], _BATCH):
                predicted[:, places] = self._predict_batch(rows_B[places])
            self._last = rows_B, predicted[0], predicted[1]
        return self._last[1:]

    def _predict_batch(self, rows_B: np.ndarray) -> np.ndarray:
        found = read_molecules(self._model, self._tokens, rows_B)
        log_rates_BJ = found.logits_BV[:, self._rows_J].log_softmax(1)
        predicted = torch.stack([log_rates_BJ, found.log_phi_BV[:, self._rows_J]])
        return np.asarray(predicted.cpu().numpy())


def count_tokens(
    model: PretrainedModel, counts_NG: sparse.csr_matrix, genes_G: np.ndarray
) -> TokenizedCells:
    """Tokenize whole counts."""
    values_NG = counts_NG.astype(np.float32)
    values_NG.data = np.log1p(values_NG.data)
    obs = pd.DataFrame(index=pd.RangeIndex(counts_NG.shape[0]))
    return model.tokenizer.tokenize(values_NG, genes_G, obs)


@torch.no_grad()
def read_molecules(
    model: PretrainedModel, tokens: TokenizedCells, rows_B: np.ndarray
) -> MoleculePredictions:
    """Run cells through the backbone and the molecule head."""
    assert model.molecule_decoder is not None
    device = next(model.parameters()).device
    batch = make_batch(tokens, rows_B, model.tokenizer.vocabulary).to(device)
    hidden_BLD = model.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
    read_BL = (hidden_BLD != 0).any(dim=2)  # neither padding nor unread tokens
    found: MoleculePredictions = model.molecule_decoder(hidden_BLD, batch.token_ids_BL, read_BL)
    return found
