"""The consensus of several experts on a query, weighted without its labels.

The model stores labelled cells: at prediction time the experts are fitted to them, over the query's genes and
at its depth. A network trained by gradient descent may be one more expert. Legend: B cells of a
batch, N query cells, R kept cells, M left-out cells, E experts, K classes, G measured genes, V vocabulary, D
width.
"""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sc_mamba2.cells.scale import CELL_TOTAL
from sc_mamba2.methods.expert_weights import LeftOut, mix
from sc_mamba2.methods.logistic_regression import allow_rare_classes
from sc_mamba2.model import Backbone, ModelConfig, sum_of_genes
from sc_mamba2.model.task_model import squared_lengths
from sc_mamba2.tasks.annotation.annotator import PLACE, TOTAL, Annotator, mean_squares
from sc_mamba2.tasks.annotation.expert_weighting import (
    Structure,
    alike_scale,
    find_structure,
    smooth,
    weight_network,
    weights_for_query,
)
from sc_mamba2.tasks.annotation.experts import Readings, predict_with_experts
from sc_mamba2.tasks.annotation.folds import predict_folds
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import FINE_TUNED, OF_BACKBONE, ConsensusParams, Expert
from sc_mamba2.tasks.annotation.tokens import read_anew
from sc_mamba2.tokens import (
    Batch,
    TokenizedCells,
    Tokenizer,
    TokenizerRules,
    as_matrix,
    stack_cells,
)


class ConsensusModel(Annotator):
    """Calls cells by several experts; for the other parameters see `Annotator`.

    `network` is the expert trained by gradient descent, if any; see `add_network`.

    Parameters
    ----------
    consensus
        The experts and how they are weighted.
    pretrained
        Whether the backbone is pretrained: only then are its states experts. Otherwise it is a gene
        embedding without layers, from the reference's singular vectors.
    start
        Name of that pretrained checkpoint.
    batch_key
        Column of the reference's `obs` with batches to leave out whole; ``None``: random folds.
    left_out
        Numbers of cells and experts of the stored left-out predictions.
    alike
        Number of cells left out in random folds, where the others are left out as whole batches.
    """

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        *,
        consensus: ConsensusParams,
        pretrained: bool,
        start: str | None = None,
        batch_key: str | None = None,
        left_out: tuple[int, int] = (0, 0),
        alike: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(backbone, tokenizer, **shared)
        self.consensus, self.pretrained, self.batch_key = consensus, pretrained, batch_key
        self.start = start
        self.network: AnnotationModel | None = None
        # Tokens that the current query measures.
        self.measured_V = np.isin(
            np.arange(tokenizer.vocabulary.size), tokenizer.vocabulary.gene_rows
        )
        self.kept_states_RD: Tensor
        self.left_out_EMK: Tensor
        self.left_out_classes_M: Tensor
        self.left_out_distance_M: Tensor
        self.alike_EMK: Tensor | None
        self.alike_classes_M: Tensor
        width = backbone.config.d_model * len(self.state_names)
        self._keep("kept_states_RD", torch.zeros(len(self.kept_classes_N), width))
        cells, experts = left_out
        self._allocate("left_out", cells, experts)
        self.register_buffer("alike_EMK", None)  # without cells it is no tensor of the checkpoint
        if alike:
            self._allocate("alike", alike, experts)
        self.register_buffer("left_out_distance_M", torch.zeros(cells, dtype=torch.float32))

    def _allocate(self, name: str, cells: int, experts: int) -> None:
        """Register buffers for predictions of labelled cells, and for their classes."""
        shape = experts, cells, len(self.labels)
        self.register_buffer(f"{name}_EMK", torch.zeros(shape, dtype=torch.float32))
        self.register_buffer(f"{name}_classes_M", torch.zeros(cells, dtype=torch.int64))

    def _store(self, name: str, predicted_EMK: np.ndarray, classes_M: np.ndarray) -> None:
        self._allocate(name, len(classes_M), len(predicted_EMK))
        getattr(self, f"{name}_EMK").copy_(torch.from_numpy(predicted_EMK))
        getattr(self, f"{name}_classes_M").copy_(torch.from_numpy(classes_M))

    def _count(self, name: str) -> int:
        """Return how many cells a stored set of predictions has."""
        stored = getattr(self, f"{name}_EMK")
        return 0 if stored is None else stored.shape[1]

    def _stored(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions, (E, M, K), and the true classes, (M,)."""
        parts = getattr(self, f"{name}_EMK"), getattr(self, f"{name}_classes_M")
        return parts[0].cpu().numpy(), parts[1].cpu().numpy()

    def card_facts(self) -> dict[str, Any]:
        """Return the types and the pretrained checkpoint for the model card."""
        start = {} if self.start is None else {"start": self.start}
        return super().card_facts() | start

    def add_network(self, network: AnnotationModel, unlearnt: int = 0) -> None:
        """Add a network as an expert; its vocabulary is a subset of this one's.

        `unlearnt` is the number of kept cells that it was not trained on; predictions for them are stored.
        """
        self.network = network
        self.unlearnt_EMK: Tensor
        self.unlearnt_classes_M: Tensor
        self._allocate("unlearnt", unlearnt, len(self.experts))

    @property
    def learner(self) -> AnnotationModel | None:
        """The part that is trained by gradient descent: the network."""
        return self.network

    def learner_tokens(self, tokens: TokenizedCells) -> TokenizedCells:
        """Return cells in the network's tokens."""
        if self.network is None:
            return tokens
        return read_anew(tokens, self.tokenizer.vocabulary, self.network.tokenizer)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Embeddings of a cell that the experts read, in the order that `predict` returns them."""
        if not self.pretrained:
            return ("pooled",)
        return ("pooled", "trunk") if "pooled" in self.methods else ("trunk",)

    @property
    def methods(self) -> tuple[Expert, ...]:
        """Experts that are fitted at prediction time, in the order of the parameters."""
        return tuple(
            name for name in self.consensus.experts if self.pretrained or name not in OF_BACKBONE
        )

    @property
    def experts(self) -> tuple[str, ...]:
        """The methods, then the network, if any."""
        return self.methods if self.network is None else (*self.methods, FINE_TUNED)

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        settings = super().settings() | {
            "consensus": self.consensus.model_dump(mode="json"),
            "pretrained": self.pretrained,
            "start": self.start,
            "left_out": [self._count("left_out"), self.left_out_EMK.shape[0]],
            "alike": self._count("alike"),
            "batch_key": self.batch_key,
        }
        if self.network is None:
            return settings
        tokenizer = self.network.tokenizer
        network = self.network.settings() | {
            "model": self.network.backbone.config.model_dump(mode="json"),
            "tokenizer": tokenizer.rules.model_dump(mode="json"),
            "genes": tokenizer.vocabulary.ids,
            "unlearnt": len(self.unlearnt_classes_M),
        }
        return settings | {"network": network}

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "ConsensusModel":
        """Build a model without cells from stored settings."""
        model = cls(
            backbone,
            tokenizer,
            # Folders from before the shift hold weights and sets that were chosen without it.
            consensus=ConsensusParams(**{"shift": 0.0} | settings["consensus"]),
            pretrained=settings["pretrained"],
            start=settings.get("start"),
            batch_key=settings["batch_key"],
            left_out=tuple(settings["left_out"]),
            alike=settings.get("alike", 0),
            **cls._shared(settings),
        )
        if stored := settings.get("network"):
            rules = TokenizerRules(**stored["tokenizer"])
            own = Tokenizer(tokenizer.vocabulary.subset(stored["genes"]), rules)
            shape = Backbone(ModelConfig.build(**stored["model"]))
            network = AnnotationModel.from_settings(shape, own, stored)
            model.add_network(network, stored["unlearnt"])
        return model

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Raise: only the network of a consensus is trained by gradient descent."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Return the backbone's states, ``embedding`` (B, D a state); `predict_query` predicts types."""
        states = {}
        if "pooled" in self.state_names:
            states["pooled"] = sum_of_genes(batch, self.backbone.gene_embedding.weight)
        if "trunk" in self.state_names:
            hidden_BLD = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
            states["trunk"] = hidden_BLD[:, 0]
        return {"embedding": torch.cat([states[name] for name in self.state_names], dim=1)}

    def readable(self, tokens: TokenizedCells) -> TokenizedCells:
        """Keep the genes that the backbone knows; the other experts read all of the reference's."""
        return tokens.keep((squared_lengths(self.backbone) > 0)[tokens.gene_rows])

    def gene_weights(self) -> np.ndarray:
        """Return the importance of each token, (V,): its mean squared value in the kept cells."""
        if not len(self.kept_classes_N):
            return squared_lengths(self.backbone)
        return mean_squares(self.kept_cells(), self.tokenizer.vocabulary.size)

    @property
    def is_fitted_directly(self) -> bool:
        """True: the methods need no training by epochs."""
        return True

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Keep some of the labelled cells, and store the experts' predictions for left-out parts of them."""
        parts = [part for part in parts if len(part[0])]
        tokens = stack_cells([part for part, _ in parts])
        order_N = np.argsort(tokens.obs[PLACE]) if PLACE in tokens.obs else np.arange(len(tokens))
        kept_R = np.asarray(order_N)[self.choose_cells(tokens.take(order_N), seed)]
        outputs = {
            name: np.concatenate([outputs[name] for _, outputs in parts])[kept_R]
            for name in parts[0][1]
        }
        self.keep_cells(tokens.take(kept_R))
        self.keep_states(outputs["embedding"])
        if self.kept_batches_N.unique().numel() < 2:
            self.batch_key = None
        self._predict_left_out(seed)
        if self.network is not None:
            unlearnt_R = kept_R >= len(parts[0][0])  # the validation cells come last
            self._predict_unlearnt(unlearnt_R, outputs["learner_probability"], seed)

    def keep_states(self, states_RD: np.ndarray) -> None:
        """Store the backbone's states of the kept cells."""
        self.kept_states_RD = torch.from_numpy(states_RD.astype(np.float32))

    def _predict_left_out(self, seed: int) -> None:
        """Predict folds of the kept cells by the rest: whole batches, if known, and random ones."""
        limit = self.consensus.left_out_cells
        chosen_M = np.sort(
            np.random.default_rng(seed).permutation(len(self.kept_classes_N))[:limit]
        )
        some, classes_M = (
            self.reference().take(chosen_M),
            self.kept_classes_N.cpu().numpy()[chosen_M],
        )
        inputs = some, classes_M, len(self.labels), self.methods, self.consensus, seed
        found = random = predict_folds(*inputs)
        if self.batch_key:
            found = predict_folds(*inputs, self.kept_batches_N.cpu().numpy()[chosen_M])
        if found is not None and not len(found.classes_M):
            self.batch_key, found = None, random  # no type is in two batches
        if found is None:
            return
        self._store("left_out", found.predicted_EMK, found.classes_M)
        self.left_out_distance_M = torch.from_numpy(found.distance_M.astype(np.float32))
        if self.batch_key and random is not None:
            self._store("alike", random.predicted_EMK, random.classes_M)

    def _predict_unlearnt(
        self, unlearnt_R: np.ndarray, probability_RK: np.ndarray, seed: int
    ) -> None:
        """Predict the kept cells that the network was not trained on from the others, by all experts."""
        reference, classes_R = self.reference(), self.kept_classes_N.cpu().numpy()
        rest, out = ~unlearnt_R, unlearnt_R
        inputs = reference.take(rest), classes_R[rest], len(self.labels), reference.take(out)
        with allow_rare_classes():
            predictions = predict_with_experts(*inputs, self.consensus, seed).by_expert
        predicted = [*(predictions[name] for name in self.methods), probability_RK[out]]
        self._store("unlearnt", np.stack(predicted), classes_R[out])

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the methods' predictions for left-out cells, (E, M, K), and the true classes, (M,)."""
        return self._stored("left_out")

    def farthest(self, share: float) -> float:
        """Return the quantile `share` of the left-out cells' distances; infinity without such cells."""
        distance_M = self.left_out_distance_M.cpu().numpy()
        return float(np.quantile(distance_M, share)) if len(distance_M) else np.inf

    def left_out_calls(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the consensus's probabilities for left-out cells, (M, K), and their classes, (M,).

        With a network these are the cells that it was not trained on.
        """
        if self.network is None:
            predicted_EMK, classes_M = self.left_out()
            # Whole batches are unlike the rest, so only batches weight the methods that predict them.
            likeness = 0.0 if self.batch_key else 1.0
            weight_E = self._method_weights(predicted_EMK, Structure(), likeness, seed)
        else:
            predicted_EMK, classes_M = self._stored("unlearnt")
            weight_E = self._method_weights(predicted_EMK[:-1], Structure(), 1.0, seed)
            known = (predicted_EMK, classes_M) if len(classes_M) else None
            weight_E = weight_network(
                predicted_EMK, weight_E, Structure(), 1.0, known, self.consensus, seed
            )
        return mix(predicted_EMK, weight_E), classes_M

    def _method_weights(
        self,
        predicted_ENK: np.ndarray,
        structure: Structure,
        likeness: float,
        seed: int,
        methods_E: np.ndarray | slice = slice(None),
    ) -> np.ndarray:
        """Return weights of some of the methods, (E,), using the stored left-out predictions."""
        alike, by_batch = alike_scale(likeness, self.consensus), self.batch_key is not None
        scales = {"left_out": self.consensus.left_out_scale if by_batch else alike, "alike": alike}
        left_out = []
        for name in filter(self._count, scales):
            predicted_EMK, classes_M = self._stored(name)
            left_out.append(LeftOut(predicted_EMK[methods_E], classes_M, scales[name]))
        return weights_for_query(predicted_ENK, structure, likeness, left_out, self.consensus, seed)

    def reference(self) -> Readings:
        """Return the kept cells as the experts read them, over the measured genes."""
        return self._readings(self.kept_cells(), self.kept_states_RD.cpu().numpy())

    def _readings(self, tokens: TokenizedCells, states_ND: np.ndarray) -> Readings:
        values_NV = as_matrix(tokens, self.tokenizer.vocabulary.size)
        amounts_NG = sparse.csr_matrix(values_NV[:, self.measured_V]).expm1()
        totals_N = (
            tokens.obs[TOTAL].to_numpy(np.float64) if TOTAL in tokens.obs else np.full(1, np.nan)
        )
        counted = bool(np.isfinite(totals_N).all())
        if counted:
            amounts_NG = sparse.csr_matrix(sparse.diags(totals_N / CELL_TOTAL) @ amounts_NG)
            amounts_NG.data = amounts_NG.data.round()
        parts = np.split(states_ND, len(self.state_names), axis=1) if self.pretrained else []
        return Readings(amounts_NG, counted, dict(zip(self.state_names, parts, strict=False)))

    def predict_query(
        self, tokens: TokenizedCells, outputs: dict[str, np.ndarray], seed: int
    ) -> dict[str, np.ndarray]:
        """Predict a query by the weighted experts.

        Parameters
        ----------
        tokens
            N cells.
        outputs
            Outputs of the backbone, and of a network, for them; see `tasks.shared.backbone.predict`.
        seed
            Seed of thinning, clusters and mixtures.

        Returns
        -------
        dict
            ``probability`` (N, K), smoothed over the query's graph, at the calibrated temperature;
            ``experts`` (N, E), the class that each calls; ``weights`` (E,); ``agreement`` (N,), the total
            weight of the experts that agree with the consensus; ``distance`` and ``likeness`` (N,), see
            `ExpertPredictions`; ``embedding``; with a pretrained backbone ``without_backbone`` (N,), calls of a
            consensus without its states and without a network; with a network ``without_fine_tuned`` (N,),
            calls of a consensus without it.
        """
        params, query = self.consensus, self._readings(tokens, outputs["embedding"])
        classes_R = self.kept_classes_N.cpu().numpy()
        inputs = self.reference(), classes_R, len(self.labels), query
        predictions = predict_with_experts(*inputs, params, seed)
        predicted_ENK = np.stack([predictions.by_expert[name] for name in self.methods])
        structure, likeness = find_structure(query, params, seed), predictions.likeness
        weight_E = self._method_weights(predicted_ENK, structure, likeness, seed)

        def calls(weight_E: np.ndarray) -> np.ndarray:
            return smooth(mix(predicted_ENK, weight_E), structure, likeness, params)

        without: dict[str, np.ndarray] = {}
        simple_E = np.array([name not in OF_BACKBONE for name in self.methods])
        if self.pretrained and simple_E.any() and not simple_E.all():
            of_simple_E = np.zeros(len(simple_E))
            of_simple_E[simple_E] = self._method_weights(
                predicted_ENK[simple_E], structure, likeness, seed, simple_E
            )
            without["without_backbone"] = calls(of_simple_E).argmax(axis=1)
        if self.network is not None:
            without["without_fine_tuned"] = calls(weight_E).argmax(axis=1)
            predicted_ENK = np.concatenate([predicted_ENK, outputs["learner_probability"][None]])
            unlearnt = self._stored("unlearnt") if len(self.unlearnt_classes_M) else None
            weight_E = weight_network(
                predicted_ENK, weight_E, structure, likeness, unlearnt, params, seed
            )
        probability_NK = calls(weight_E)
        called_EN = predicted_ENK.argmax(axis=2)
        agreement_N = weight_E @ (called_EN == probability_NK.argmax(axis=1))
        return without | {
            "probability": self.calibration.apply(probability_NK),
            "experts": called_EN.T,
            "weights": weight_E,
            "agreement": agreement_N,
            "distance": predictions.distance_N,
            "likeness": np.full(len(tokens), likeness),
            "embedding": outputs["embedding"],
        }
