"""The perturbation model: measured effects weighted by similarity, plus what the Mamba2 layers add.

Legend: B cells, L tokens, D width of the backbone, F numbers of a feature, K width of the code, G
genes, Q measured effects, C contexts, J genes of a perturbation.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sc_mamba2.cells import parts_of
from sc_mamba2.model import Backbone, TaskModel
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.features import gene_ids, log_dose
from sc_mamba2.tasks.perturbation.params import HeadParams, KeyParams, Kind, SplitKind, StartParams
from sc_mamba2.tasks.perturbation.prior_fit import left_out_estimates
from sc_mamba2.tasks.perturbation.prior_names import known_prior, with_features
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION
from sc_mamba2.tokens import Batch, TokenizedCells, Tokenizer
from sc_mamba2.tokens.batches import PAD_BIN

ROW = "row"
NO_GENE = -1
KINDS = get_args(Kind)
_TABLES = ("delta_QG", "error_QG", "spread_QG", "control_CG", "control_spread_CG")


class PerturbationModel(TaskModel):
    """Predicts the effect of a perturbation on control cells.

    ``change(i, p, c) = prior(p, c) + gate (1 - r_pc) W h_i``

    with ``prior`` the estimate of `EffectPrior`, r the reliability of the measured effect of p in c (0 if
    not measured), ``h_i`` the backbone's state at `<cls>` of cell i, normalised and projected to K numbers;
    W, (G, K), starts at zero. The perturbed genes are always among the cell's tokens. Every token gets an
    embedding for "perturbed or not", and `<cls>` gets a projection of the perturbation's feature and an
    embedding of its kind. Over training effects q, each estimated by the prior without q, the loss is

    ``r_q mean_g (prior_q + W h_i - delta_q)^2 / mean_q mean_g delta_q^2``

    so that the layers learn the residual of the estimate. The gate is 1 or 0: see `fit.gate_layers`.
    `methods.mean_changes` turns changes into cells.

    Parameters
    ----------
    backbone
        The trunk.
    tokenizer
        Tokenizes the control cells.
    prior
        The estimate, with the effects measured in the training cells.
    keys
        Columns of obs, the kind of perturbation, the source of features.
    head
        Paths and widths.
    kind
        Kind of split: decides which effects the prior may use to estimate a training effect.
    rising_share
        See `affine`, 0 to 1.
    """

    task = "perturbation"

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        prior: EffectPrior,
        keys: KeyParams,
        head: HeadParams,
        kind: SplitKind,
        rising_share: float = 0.0,
    ) -> None:
        super().__init__(backbone, tokenizer)
        self.keys, self.head, self.kind = keys, head, kind
        self.rising_share = rising_share
        width = backbone.config.d_model
        self.gate: Tensor
        self.feature_PF: Tensor
        self.register_buffer("gate", torch.ones(()) if "trunk" in head.paths else torch.zeros(()))
        self.flag_encoder = nn.Embedding(2, width)
        self.kind_encoder = nn.Embedding(len(KINDS), width)
        for encoder in (self.flag_encoder, self.kind_encoder):
            nn.init.zeros_(encoder.weight)
        self.set_prior(prior)
        features = len(next(iter(prior.singles.values()))) if prior.singles else 1
        # One extra input: the logarithm of the dose.
        self.perturbation_encoder = nn.Linear(features + 1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Sequential(nn.Linear(width, head.width), nn.Tanh())
        self.decoder = nn.Linear(head.width, len(prior.effects.genes), bias=False)
        nn.init.zeros_(self.decoder.weight)

    def set_prior(self, prior: EffectPrior) -> None:
        """Replace the measurements; learnt weights stay."""
        tables = {name: getattr(prior.effects, name).astype(np.float32) for name in _TABLES}
        features = [prior.singles[name] for name in sorted(prior.singles)] or np.zeros((0, 1))
        tables["feature_PF"] = np.asarray(features).astype(np.float32)
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table))
        self.prior = prior.with_tables(tables)
        self._left_out: Tensor | None = None

    def with_names(self, *names: str) -> "PerturbationModel":
        """Return a copy with features of these perturbations; raise `UserError` if one is unknown."""
        model = copy.deepcopy(self)
        model.set_prior(known_prior(self.prior, self.keys, *names))
        return model

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        effects = self.prior.effects
        return {
            "keys": self.keys.model_dump(mode="json"),
            "head": self.head.model_dump(mode="json"),
            "kind": self.kind,
            "rising_share": self.rising_share,
            "shares": self.prior.shares,
            "context_shares": self.prior.context_shares,
            "start": self.prior.params.model_dump(mode="json"),
            "effects": effects.rows.astype({CELLS: int}).to_dict("list"),
            "contexts": list(effects.contexts),
            "genes": list(effects.genes),
            "whole_names": sorted(effects.whole),
            "features": sorted(self.prior.singles),
            "own": self.prior.own,
            "targets": self.prior.targets,
            "feature_width": self.feature_PF.shape[1],
        }

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "PerturbationModel":
        """Build a model of the right shapes; `from_pretrained` fills in the values."""
        rows = pd.DataFrame(settings["effects"], columns=[PERTURBATION, CONTEXT, CELLS])
        genes, contexts = tuple(settings["genes"]), tuple(settings["contexts"])
        measured, control = (np.zeros((len(part), len(genes))) for part in (rows, contexts))
        whole = frozenset(settings.get("whole_names", ()))
        tables = (measured, measured, measured, contexts, control, control)
        effects = Effects(rows, *tables, genes, whole)
        blank = {name: np.zeros(settings["feature_width"]) for name in settings["features"]}
        known = settings["own"], settings["targets"], settings["shares"]
        params = StartParams(**settings["start"])
        prior = EffectPrior(effects, blank, *known, tuple(settings["context_shares"]), params)
        return cls(
            backbone,
            tokenizer,
            prior,
            KeyParams(**settings["keys"]),
            HeadParams(**settings["head"]),
            settings["kind"],
            settings["rising_share"],
        )

    @classmethod
    def from_pretrained(cls, folder: Any) -> "PerturbationModel":
        """Load a model, then restore its measurements from the stored tensors."""
        model = super().from_pretrained(folder)
        tables = {name: model.get_buffer(name).numpy() for name in (*_TABLES, "feature_PF")}
        model.prior = model.prior.with_tables(tables)
        return model

    def forward(self, batch: Batch, condition_BF: Tensor, genes_BJ: Tensor) -> Tensor:
        """Compute the code of cells under perturbations, (B, K)."""
        pad_id = self.tokenizer.vocabulary.pad_id
        batch, perturbed_BL = with_perturbed_genes(batch, genes_BJ, pad_id)
        real_BL = torch.arange(perturbed_BL.shape[1], device=perturbed_BL.device)
        real_BL = real_BL < batch.lengths_B[:, None]
        added_BLD = self.flag_encoder(perturbed_BL.long()) * real_BL.unsqueeze(-1)
        kind_D = self.kind_encoder.weight[KINDS.index(self.keys.kind)]
        condition_BD = self.perturbation_encoder(condition_BF) + kind_D
        added_BLD = torch.cat(
            [added_BLD[:, :1] + condition_BD.unsqueeze(1), added_BLD[:, 1:]], dim=1
        )
        hidden_BLD = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B, added_BLD)
        code_BK: Tensor = self.projection(self.norm(hidden_BLD[:, 0]))
        return code_BK

    def conditions(
        self, names: pd.Series, prior: EffectPrior | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features and genes of perturbations, from `prior` or the model's own prior.

        Returns
        -------
        feature_NF
            Sum of the features of the parts, 0 if they have none, then the summed log10 of their doses.
        genes_NJ
            Rows of the vocabulary, padded with `NO_GENE`.
        """
        singles = (prior or self.prior).singles
        whole = self.prior.effects.whole
        parts = {name: parts_of(name, whole) for name in set(names)}
        ids = {}
        if self.keys.kind != "chemical":
            ids = gene_ids(sorted({part for some in parts.values() for part in some}))
        rows = dict(zip(ids, self.tokenizer.vocabulary.rows_of(list(ids.values())), strict=True))
        most = max(map(len, parts.values()), default=1)
        width = self.perturbation_encoder.in_features - 1  # 1 without features in training
        features, genes = {}, {}
        for name, some in parts.items():
            known = [singles[part] for part in some if len(singles.get(part, ())) == width]
            feature = np.sum(known, axis=0) if known else np.zeros(width)
            features[name] = np.append(feature, log_dose(name, whole))
            genes[name] = [int(rows.get(part, NO_GENE)) for part in some]
            genes[name] += [NO_GENE] * (most - len(some))
        feature_NF = np.stack([features[name] for name in names]).astype(np.float32)
        genes_NJ = np.array([genes[name] for name in names], dtype=np.int64)
        return torch.from_numpy(feature_NF), torch.from_numpy(genes_NJ)

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Return each cell's training effect (``obs["row"]``), condition and perturbed genes."""
        condition_NF, genes_NJ = self.conditions(obs[PERTURBATION])
        return {
            "row_B": torch.from_numpy(obs[ROW].to_numpy(dtype=np.int64)),
            "condition_BF": condition_NF,
            "genes_BJ": genes_NJ,
        }

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the mean loss: squared error on the prior's residuals, weighted by reliability."""
        code_BK = self(batch, targets["condition_BF"], targets["genes_BJ"])
        residual_QG = self._residual().to(code_BK.device)
        error_BG = self.gate * self.decoder(code_BK) - residual_QG[targets["row_B"]]
        weight_Q = torch.from_numpy(self.prior.reliability_Q).to(error_BG)
        return (weight_Q[targets["row_B"]] * error_BG.square().mean(dim=1)).mean()

    def _residual(self) -> Tensor:
        """Return measured effects minus their left-out estimates, (Q, G), in multiples of `unit`."""
        if self._left_out is None:
            delta_QG = self.prior.effects.delta_QG
            estimate_QG = np.zeros_like(delta_QG)
            if "start" in self.head.paths:
                estimate_QG = left_out_estimates(self.prior, self.kind)
            self._left_out = torch.from_numpy((delta_QG - estimate_QG) / self.unit).float()
        return self._left_out

    @property
    def is_fitted_directly(self) -> bool:
        """Whether there is nothing to train, since the model is the prior's estimate alone."""
        return "trunk" not in self.head.paths

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Do nothing; see `is_fitted_directly`."""

    @property
    def decoding(self) -> tuple[float, float]:
        """Arguments `rising_share` and `most_scale` of `affine`."""
        return self.rising_share, self.head.most_scale

    @property
    def unit(self) -> float:
        """Root mean square of the measured effects: the unit of the layers' output."""
        return max(float(np.sqrt((self.prior.effects.delta_QG**2).mean())), 1e-9)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Raise: the perturbations are needed; see `predictor`."""
        raise NotImplementedError("the perturbations are needed: call predictor(obs)")

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return a function from batches to ``code`` (B, K); `obs` has the column ``perturbation``."""
        if not self.gate:
            return lambda batch: {"code": torch.zeros(len(batch.lengths_B), self.head.width)}
        names = obs[PERTURBATION]
        conditions = self.conditions(names, with_features(self.prior, self.keys, set(names)))

        def encode(batch: Batch) -> dict[str, Tensor]:
            rows_B, device = batch.cells_B.cpu(), batch.cells_B.device
            return {"code": self(batch, *(part[rows_B].to(device) for part in conditions))}

        return encode

    def added_change(self, code_NK: np.ndarray) -> np.ndarray:
        """Return the change that the layers add to the estimate, (N, G), log-normalised."""
        weight_GK = self.decoder.weight.detach().cpu().double().numpy()
        return float(self.gate) * self.unit * (code_NK @ weight_GK.T)


def with_perturbed_genes(batch: Batch, genes_BJ: Tensor, pad_id: int) -> tuple[Batch, Tensor]:
    """Insert the perturbed genes into the tokens of control cells; return also a mask of these tokens.

    A perturbed gene that the cell does not express, or that was truncated, becomes a token of bin 0 at
    its place in the vocabulary's order. `genes_BJ` are rows of the vocabulary, padded with `NO_GENE`.
    """
    present_BJ = (batch.token_ids_BL[:, None, 1:] == genes_BJ[:, :, None]).any(dim=-1)
    # Insert a gene named twice only once.
    repeated_BJ = torch.stack(
        [(genes_BJ[:, :at] == genes_BJ[:, at, None]).any(dim=1) for at in range(genes_BJ.shape[1])],
        dim=1,
    )
    new_BJ = (genes_BJ != NO_GENE) & ~present_BJ & ~repeated_BJ
    extra_BJ = torch.where(new_BJ, genes_BJ, pad_id)
    ids_BL = torch.cat([batch.token_ids_BL, extra_BJ], dim=1)
    bins_BL = torch.cat([batch.bins_BL, torch.where(new_BJ, 0.0, PAD_BIN)], dim=1)
    values_BL = F.pad(batch.values_BL, (0, genes_BJ.shape[1]))
    lengths_B = batch.lengths_B + new_BJ.sum(dim=1)
    far = torch.iinfo(torch.int64).max
    keys_BL = torch.where(ids_BL == pad_id, far, ids_BL)
    keys_BL[:, 0] = -1  # <cls> stays first
    order_BL = keys_BL.argsort(dim=1, stable=True)[:, : int(lengths_B.max())]
    ids_BL = ids_BL.gather(1, order_BL)
    perturbed_BL = (ids_BL[:, :, None] == genes_BJ[:, None, :]).any(dim=-1)
    perturbed_BL[:, 0] = False
    whole = replace(
        batch,
        token_ids_BL=ids_BL,
        bins_BL=bins_BL.gather(1, order_BL),
        values_BL=values_BL.gather(1, order_BL),
        lengths_B=lengths_B,
    )
    return whole, perturbed_BL
