"""The perturbation model: measured effects weighed by likeness, and what the Mamba2 layers add.

Legend: B cells, L tokens, D width of the backbone, F numbers of a feature, K width of the code, G
genes, Q measured effects, C contexts, J genes of a perturbation.
"""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sc_mamba2.cells import parts_of
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, TaskModel
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.features import gene_ids, log_dose
from sc_mamba2.tasks.perturbation.fit_effect_prior import known_start, left_out_estimates
from sc_mamba2.tasks.perturbation.params import (
    HeadParams,
    KeyParams,
    Kind,
    SplitKind,
    StartParams,
)
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION
from sc_mamba2.tasks.perturbation.tokens import NO_GENE, with_perturbed_genes
from sc_mamba2.tokens import Batch, TokenizedCells, Tokenizer

ROW = "row"
KINDS = get_args(Kind)
_TABLES = ("delta_QG", "error_QG", "spread_QG", "control_CG", "control_spread_CG")


class PerturbationModel(TaskModel):
    """Predicts what a perturbation does to a control cell.

    ``change(i, p, c) = start(p, c) + gate (1 - r_pc) W h_i``

    with ``start`` the estimate of `Start`, r the reliability of what was measured of p in c (0 where
    nothing was), ``h_i`` the backbone's state at `<cls>` of cell i, normed, projected to K numbers; W,
    (G, K), starts at zero. The cell's tokens always hold the perturbed genes, which get an embedding of
    their own (perturbed or not), and `<cls>` gets a projection of the perturbation's feature and of
    its kind. The loss is, over training effects q that the start had to tell without q,

    ``r_q mean_g (start_q + W h_i - delta_q)^2 / mean_q mean_g delta_q^2``

    so that the layers learn what the estimate lacks. The gate is 1 or 0: see `nodes.keep_what_helps`.
    How changes become cells stands in `population`.

    Parameters
    ----------
    backbone
        The trunk.
    tokenizer
        Makes the tokens of control cells.
    start
        The estimate, with what was measured of the training cells.
    keys
        Names in obs, the kind, where features come from.
    head
        Paths and widths.
    kind
        Of the split: which effects the start may use when it is to tell one of them.
    rising_share
        See `population.affine`, 0 to 1.
    """

    task = "perturbation"

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        start: Start,
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
        self.register_buffer("gate", torch.ones(()) if "trunk" in head.paths else torch.zeros(()))
        self.flag_encoder = nn.Embedding(2, width)
        self.kind_encoder = nn.Embedding(len(KINDS), width)
        for encoder in (self.flag_encoder, self.kind_encoder):
            nn.init.zeros_(encoder.weight)
        self.set_start(start)
        features = len(next(iter(start.singles.values()))) if start.singles else 1
        # One number more than the feature: the logarithm of the dose.
        self.perturbation_encoder = nn.Linear(features + 1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Sequential(nn.Linear(width, head.width), nn.Tanh())
        self.decoder = nn.Linear(head.width, len(start.effects.genes), bias=False)
        nn.init.zeros_(self.decoder.weight)

    def set_start(self, start: Start) -> None:
        """Put other measurements in the place of those that are there; what was learnt stays."""
        tables = {name: getattr(start.effects, name).astype(np.float32) for name in _TABLES}
        names = sorted(start.singles)
        features = [start.singles[name] for name in names]
        tables["feature_PF"] = (np.stack(features) if names else np.zeros((0, 1))).astype(
            np.float32
        )
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table))
        self.start = start.with_tables(tables)
        rows = start.effects.rows
        self._left_out: Tensor | None = None
        self._genes: dict[str, tuple[int, ...]] = {}
        singles = {part for name in rows[PERTURBATION] for part in parts_of(name)}
        self._remember_genes(sorted(singles | set(names)))

    def _remember_genes(self, names: list[str]) -> None:
        new = [name for name in names if name not in self._genes]
        ids = gene_ids(new) if self.keys.kind != "chemical" else dict.fromkeys(new, "")
        rows = _rows_of(self.tokenizer.vocabulary, list(ids.values()))
        self._genes |= {name: (row,) for name, row in zip(ids, rows, strict=True)}

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        effects = self.start.effects
        return {
            "keys": self.keys.model_dump(mode="json"),
            "head": self.head.model_dump(mode="json"),
            "kind": self.kind,
            "rising_share": self.rising_share,
            "perturbation_temperature": self.start.perturbation_temperature,
            "context_temperature": self.start.context_temperature,
            "start": self.start.params.model_dump(mode="json"),
            "effects": effects.rows.astype({CELLS: int}).to_dict("list"),
            "contexts": list(effects.contexts),
            "genes": list(effects.genes),
            "features": sorted(self.start.singles),
            "own": self.start.own,
            "feature_width": int(self.feature_PF.shape[1]),
        }

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "PerturbationModel":
        """Build a model of the right shapes; `start_from_tables` follows when its tensors are there."""
        rows = pd.DataFrame(settings["effects"], columns=[PERTURBATION, CONTEXT, CELLS])
        genes, contexts = tuple(settings["genes"]), tuple(settings["contexts"])
        shape, controls = (len(rows), len(genes)), (len(contexts), len(genes))
        effects = Effects(
            rows,
            *(np.zeros(shape) for _ in range(3)),
            contexts,
            np.zeros(controls),
            np.zeros(controls),
            genes,
        )
        blank = {name: np.zeros(settings["feature_width"]) for name in settings["features"]}
        temperatures = (settings["perturbation_temperature"], settings["context_temperature"])
        params = StartParams(**settings["start"])
        return cls(
            backbone,
            tokenizer,
            Start(effects, blank, settings["own"], *temperatures, params),
            KeyParams(**settings["keys"]),
            HeadParams(**settings["head"]),
            settings["kind"],
            settings["rising_share"],
        )

    @classmethod
    def from_pretrained(cls, folder: Any) -> "PerturbationModel":
        """Read a model as every task model is, then take the measurements from its tensors."""
        model = super().from_pretrained(folder)
        tables = {name: model.get_buffer(name).numpy() for name in (*_TABLES, "feature_PF")}
        model.start = model.start.with_tables(tables)
        return model

    def know(self, name: str) -> None:
        """Look up what describes a perturbation, or refuse it; see `start.known_start`."""
        self.set_start(known_start(self.start, self.keys, name))
        self._remember_genes(list(parts_of(name)))

    def forward(self, batch: Batch, condition_BF: Tensor, genes_BJ: Tensor) -> Tensor:
        """Compute the code of cells under perturbations, (B, K)."""
        pad_id = self.tokenizer.vocabulary.pad_id
        batch, perturbed_BL = with_perturbed_genes(batch, genes_BJ, pad_id)
        real_BL = torch.arange(perturbed_BL.shape[1], device=perturbed_BL.device)
        real_BL = real_BL < batch.lengths_B[:, None]
        added_BLD = self.flag_encoder(perturbed_BL.long()) * real_BL.unsqueeze(-1)
        kind_D = self.kind_encoder.weight[KINDS.index(self.keys.kind)]
        said_BD = self.perturbation_encoder(condition_BF) + kind_D
        added_BLD = torch.cat([added_BLD[:, :1] + said_BD.unsqueeze(1), added_BLD[:, 1:]], dim=1)
        hidden_BLD = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B, added_BLD)
        code_BK: Tensor = self.projection(self.norm(hidden_BLD[:, 0]))
        return code_BK

    def conditions(self, names: pd.Series) -> tuple[Tensor, Tensor]:
        """Return what is known of perturbations, and the rows of their genes.

        Returns
        -------
        feature_NF
            Features of the parts summed, 0 where there are none, and the log10 of their doses.
        genes_NJ
            Rows of the vocabulary, `NO_GENE` where there are fewer genes.
        """
        width = self.perturbation_encoder.in_features - 1
        most = max((len(parts_of(name)) for name in set(names)), default=1)
        features, genes = {}, {}
        for name in set(names):
            parts = parts_of(name)
            known = [self.start.singles[p] for p in parts if p in self.start.singles]
            feature = np.sum(known, axis=0) if known else np.zeros(width)
            features[name] = np.append(feature, log_dose(name))
            rows = [row for part in parts for row in self._genes.get(part, ())]
            genes[name] = (rows + [NO_GENE] * most)[:most]
        feature_NF = np.stack([features[name] for name in names]).astype(np.float32)
        genes_NJ = np.array([genes[name] for name in names], dtype=np.int64)
        return torch.from_numpy(feature_NF), torch.from_numpy(genes_NJ)

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Read of each cell which training effect it stands for: ``obs["row"]``."""
        condition_NF, genes_NJ = self.conditions(obs[PERTURBATION])
        return {
            "row_B": torch.from_numpy(obs[ROW].to_numpy(dtype=np.int64)),
            "condition_BF": condition_NF,
            "genes_BJ": genes_NJ,
        }

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss a cell: what the estimate lacks of the effect, in shares of its size."""
        code_BK = self(batch, targets["condition_BF"], targets["genes_BJ"])
        lacking_QG = self._lacking().to(code_BK.device)
        error_BG = self.gate * self.decoder(code_BK) - lacking_QG[targets["row_B"]]
        trust_Q = torch.from_numpy(self.start.reliability_Q).to(error_BG)
        return (trust_Q[targets["row_B"]] * error_BG.square().mean(dim=1)).mean()

    def _lacking(self) -> Tensor:
        """Return the measured effects less their estimates without them, (Q, G), in units of size."""
        if self._left_out is None:
            delta_QG = self.start.effects.delta_QG
            estimate_QG = np.zeros_like(delta_QG)
            if "start" in self.head.paths:
                estimate_QG = left_out_estimates(self.start, self.kind)
            self._left_out = torch.from_numpy((delta_QG - estimate_QG) / self.unit).float()
        return self._left_out

    @property
    def fits_itself(self) -> bool:
        """Whether there is nothing to train: the estimate alone is fitted already."""
        return "trunk" not in self.head.paths

    def fit_itself(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Do nothing: see `fits_itself`."""

    @property
    def decoding(self) -> tuple[float, float]:
        """How a rise is shared between scaling and shifting; see `population.affine`."""
        return self.rising_share, self.head.most_scale

    @property
    def unit(self) -> float:
        """Root mean square of the measured effects: the unit in which the layers tell a change."""
        return max(float(np.sqrt((self.start.effects.delta_QG**2).mean())), 1e-9)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Refuse: what is done to a cell must be said; see `predictor`."""
        raise NotImplementedError("the perturbations are needed: call predictor(obs)")

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return what gives ``code`` (B, K) for cells of a table with the column ``perturbation``."""
        condition_NF, genes_NJ = self.conditions(obs[PERTURBATION])

        def encode(batch: Batch) -> dict[str, Tensor]:
            if not self.gate:  # the layers add nothing
                return {"code": torch.zeros(len(batch.lengths_B), self.head.width)}
            rows_B, device = batch.cells_B.cpu(), batch.cells_B.device
            condition_BF, genes_BJ = condition_NF[rows_B], genes_NJ[rows_B]
            return {"code": self(batch, condition_BF.to(device), genes_BJ.to(device))}

        return encode

    def added_change(self, code_NK: np.ndarray) -> np.ndarray:
        """Return what the layers add to the estimate, (N, G) in log-normalised units."""
        weight_GK = self.decoder.weight.detach().cpu().double().numpy()
        return float(self.gate) * self.unit * (code_NK @ weight_GK.T)


def _rows_of(vocabulary: Vocabulary, ids: list[str]) -> list[int]:
    rows = vocabulary.rows_of(ids)
    return [int(row) if ident else NO_GENE for row, ident in zip(rows, ids, strict=True)]
