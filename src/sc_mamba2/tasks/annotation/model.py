"""The annotation network: a backbone, and a head whose paths predict a cell's class.

Legend: B cells, L tokens, D width, V vocabulary, K classes.
"""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from sc_mamba2.methods.logistic_regression import Block
from sc_mamba2.model import Backbone, CellClassifier, sum_of_genes
from sc_mamba2.model.task_model import squared_lengths
from sc_mamba2.tasks.annotation.annotator import Annotator, Calibration, mean_squares
from sc_mamba2.tasks.annotation.direct_fit import fit_paths
from sc_mamba2.tasks.annotation.params import HeadParams
from sc_mamba2.tasks.annotation.rollup import Rollup
from sc_mamba2.tokens import Batch, TokenizedCells, Tokenizer, as_matrix


class AnnotationModel(Annotator):
    """Classifies cells; the logits of the paths are added.

    ``logits = trunk(h_cls) + pooled(LayerNorm(sum_l v_l E[g_l])) + sum_l v_l W[g_l] + b``, with
    ``h_cls`` the backbone's state at `<cls>`, ``v`` log-normalised values, ``E`` the gene
    embedding, ``W`` the readout. Paths that are not in the parameters have no weights.

    Parameters
    ----------
    class_weights
        K positive weights of the cross entropy, mean 1 over the training cells.
    head
        Paths, dropout, rates.

    For the others see `Annotator`.
    """

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        labels: tuple[str, ...],
        class_weights: tuple[float, ...],
        head: HeadParams,
        label_key: str,
        rollup: Rollup | None = None,
        calibration: Calibration | None = None,
        kept: tuple[int, int] = (0, 0),
        term_ids: dict[str, str] | None = None,
    ) -> None:
        shared = labels, head, label_key, rollup, calibration, kept, term_ids
        super().__init__(backbone, tokenizer, *shared)
        self.class_weights = class_weights
        width, classes = backbone.config.d_model, len(labels)
        self.bias_K = nn.Parameter(torch.zeros(classes))
        if "trunk" in head.paths:
            hidden = {"n_hidden": 0} if self.is_fitted_directly else {}
            self.trunk_classifier = CellClassifier(width, classes, **hidden)
        if "pooled" in head.paths:
            self.pooled_norm = nn.LayerNorm(width)
            self.pooled_classifier = nn.Linear(width, classes, bias=False)
        if "readout" in head.paths:
            self.readout_VK = nn.Parameter(torch.zeros(tokenizer.vocabulary.size, classes))
        self.dropout = nn.Dropout(head.dropout)
        if "readout" in head.paths:
            self._start_as_linear_model()

    def gene_weights(self, kept: TokenizedCells | None = None) -> np.ndarray:
        """Return the importance of each token to the model, (V,).

        It is the mean squared value in the kept cells (1 if there are none) times the squared length of
        the token's readout row minus the row's mean, which favours no class; without a fitted readout,
        of its embedding. A network that is an expert keeps no cells, so `kept` are passed in.
        """
        kept = self.kept_cells() if kept is None else kept
        size = self.tokenizer.vocabulary.size
        length_V = squared_lengths(self.backbone)
        if "readout" in self.head.paths:
            readout_VK = self.readout_VK.detach().cpu().double()
            own_V = (readout_VK - readout_VK.mean(dim=1, keepdim=True)).square().sum(dim=1)
            length_V = own_V.numpy() if own_V.any() else length_V
        if not len(kept):
            return length_V
        return mean_squares(kept, size) * length_V

    def _start_as_linear_model(self) -> None:
        """Start the other paths at zero if there is a readout, so that they add only what helps.

        Without a readout they keep the default initialisation: a zero classifier would give a lone trunk
        no gradient at the start.
        """
        if "trunk" in self.head.paths:
            nn.init.zeros_(self.trunk_classifier.out_layer.weight)
            nn.init.zeros_(self.trunk_classifier.out_layer.bias)
        if "pooled" in self.head.paths:
            nn.init.zeros_(self.pooled_classifier.weight)

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        return super().settings() | {"class_weights": list(self.class_weights)}

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "AnnotationModel":
        """Build an untrained model from stored settings."""
        weights = tuple(settings["class_weights"])
        return cls(backbone, tokenizer, class_weights=weights, **cls._shared(settings))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (B, K), and the embedding (B, D a path): trunk, then pooled, those in use.

        The readout has no embedding; with the readout alone it is (B, 0).
        """
        cells = len(batch.lengths_B)
        logits_BK = self.bias_K.expand(cells, -1)
        embedding = [self.bias_K.new_zeros(cells, 0)]
        if "trunk" in self.head.paths:
            hidden_BLD = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
            embedding.append(hidden_BLD[:, 0])
            logits_BK = logits_BK + self.trunk_classifier(self.dropout(embedding[-1]))
        if "pooled" in self.head.paths:
            pooled_BD = sum_of_genes(batch, self.backbone.gene_embedding.weight)
            embedding.append(self.pooled_norm(pooled_BD))
            logits_BK = logits_BK + self.pooled_classifier(self.dropout(embedding[-1]))
        if "readout" in self.head.paths:
            logits_BK = logits_BK + sum_of_genes(batch, self.readout_VK)
        return logits_BK, torch.cat(embedding, dim=1)

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the mean weighted cross entropy; labels are smoothed in training only."""
        logits_BK, _ = self(batch)
        weights_K = logits_BK.new_tensor(self.class_weights)
        losses_B = F.cross_entropy(
            logits_BK,
            targets["class_B"],
            weight=weights_K,
            reduction="none",
            label_smoothing=self.head.label_smoothing if self.training else 0.0,
        )
        return losses_B.mean()

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Return the outputs of every cell.

        ``probability`` (B, K), at the calibrated temperature T; ``energy`` (B,), ``-T logsumexp(logits
        / T)``, high if no class fits the cell (Liu et al. 2020, "Energy-based Out-of-distribution
        Detection"); ``embedding``, D columns a path (see `forward`).
        """
        logits_BK, embedding = self(batch)
        temperature = self.calibration.temperature
        scaled_BK = logits_BK / temperature
        return {
            "probability": scaled_BK.softmax(dim=-1),
            "energy": -temperature * scaled_BK.logsumexp(dim=-1),
            "embedding": embedding,
        }

    @property
    def is_fitted_directly(self) -> bool:
        """Whether the head is fitted directly, not by epochs, on a frozen backbone."""
        return self.head.fit in ("linear", "prototypes")

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Fit the weights of all paths; see `fit_paths`."""
        size, width = self.tokenizer.vocabulary.size, self.backbone.config.d_model
        states_ND = np.concatenate([outputs["embedding"] for _, outputs in parts])
        classes_N = np.concatenate([self.targets(t.obs)["class_B"].numpy() for t, _ in parts])
        embedded = [path for path in ("trunk", "pooled") if path in self.head.paths]
        blocks: dict[str, Block] = {
            path: states_ND[:, at * width : (at + 1) * width] for at, path in enumerate(embedded)
        }
        if "readout" in self.head.paths:
            values = [as_matrix(tokens, size) for tokens, _ in parts]
            blocks = {"readout": sparse.vstack(values, format="csr"), **blocks}
        found, bias_K = fit_paths(blocks, classes_N, len(self.labels), self.head, seed)
        tables = {name: torch.from_numpy(weight_FK) for name, weight_FK in found.items()}
        with torch.no_grad():
            self.bias_K.copy_(torch.from_numpy(bias_K))
            if "trunk" in tables:
                self.trunk_classifier.out_layer.weight.copy_(tables["trunk"].T)
                self.trunk_classifier.out_layer.bias.zero_()
            if "pooled" in tables:
                self.pooled_classifier.weight.copy_(tables["pooled"].T)
            if "readout" in tables:
                self.readout_VK.copy_(tables["readout"])

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Give the readout its own learning rate and weight decay."""
        groups = super().parameter_groups(learning_rate, weight_decay)
        if "readout" not in self.head.paths:
            return groups
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not self.readout_VK]
        readout = {
            "params": [self.readout_VK],
            "lr": learning_rate * self.head.readout_rate_factor,
            "weight_decay": self.head.readout_weight_decay,
        }
        return [group for group in groups if group["params"]] + [readout]
