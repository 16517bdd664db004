"""Apply a fitted correction to new cells of the same batches, and decode the embedding to genes.

Legend: B cells, N fitted cells, V vocabulary, R recipes, D components of each, C columns before the
correction, E width of the embedding, K batches.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from sc_mamba2.methods.embedding_consensus import unit_scale
from sc_mamba2.methods.integration import Candidate

NEIGHBOURS = 15
SAME = 1e-3  # below this distance two cells are the same (cells are about 1 apart)
_RIDGE = 1e-3  # of the variance of the embedding


class CorrectionMap(nn.Module):
    """Embeds cells of known batches with the correction of the most similar fitted cells.

    Before correction a cell has C numbers x: its principal components by every recipe, and the trained
    model's embedding if there is one. The embedding of fitted cells is split into a part linear in x,
    shared by all batches, and a residual: ``z_n = x_n L + r_n``. A new cell gets
    ``z = x L + sum_n w_n r_n`` over its nearest cells of the *same* batch, with w proportional to
    1 / squared distance. A fitted cell gets exactly its own embedding.

    Parameters
    ----------
    shapes
        Shapes of the buffers by name, as returned by `shapes`.
    """

    before_NC: Tensor
    embedding_NE: Tensor
    code_N: Tensor
    weight_RV: Tensor
    limit_RV: Tensor
    loadings_RVD: Tensor
    centre_RD: Tensor
    scale_R: Tensor
    linear_CE: Tensor
    decoder_EV: Tensor
    offset_V: Tensor

    def __init__(self, shapes: dict[str, Sequence[int]]) -> None:
        super().__init__()
        for name in self._names():
            kind = torch.long if name == "code_N" else torch.float32
            self.register_buffer(name, torch.zeros(tuple(shapes[name]), dtype=kind))

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in cls.__annotations__ if "_" in name]

    def shapes(self) -> dict[str, list[int]]:
        """Return the shapes of the buffers by name."""
        return {name: list(getattr(self, name).shape) for name in self._names()}

    @classmethod
    def fit(
        cls,
        candidates: Sequence[Candidate],
        network_NE: np.ndarray | None,
        embedding_NE: np.ndarray,
        values_NV: sparse.csr_matrix,
        codes_N: np.ndarray,
    ) -> "CorrectionMap":
        """Fit the map to an embedding of cells.

        Parameters
        ----------
        candidates
            One per recipe.
        network_NE
            The trained model's embedding, if there is one.
        embedding_NE
            The embedding that the map shall reproduce.
        values_NV, codes_N
            Values of the vocabulary's genes, and batches.
        """
        befores = [one.before_ND for one in candidates]
        befores += [network_NE] if network_NE is not None else []
        scales = [unit_scale(before) for before in befores]
        before_NC = np.concatenate(
            [own * scale for own, scale in zip(befores, scales, strict=True)], axis=1
        )
        embedding_NE = embedding_NE.astype(np.float64)
        linear_CE = np.linalg.lstsq(
            before_NC - before_NC.mean(axis=0), embedding_NE - embedding_NE.mean(axis=0), rcond=1e-6
        )[0]
        decoder_EV, offset_V = _fit_decoder(embedding_NE, values_NV, codes_N)
        projections = [one.projection for one in candidates]
        fitted = {
            "before_NC": before_NC,
            "embedding_NE": embedding_NE,
            "code_N": codes_N,
            "weight_RV": np.stack([one.weight_V for one in projections]),
            "limit_RV": np.stack([one.limit_V for one in projections]),
            "loadings_RVD": np.stack([one.loadings_VD for one in projections]),
            "centre_RD": np.stack([one.centre_D for one in projections]),
            "scale_R": np.asarray(scales),
            "linear_CE": linear_CE,
            "decoder_EV": decoder_EV,
            "offset_V": offset_V,
        }
        made = cls({name: values.shape for name, values in fitted.items()})
        for name, values in fitted.items():
            getattr(made, name).copy_(torch.from_numpy(np.asarray(values)))
        return made

    def gene_weights(self) -> np.ndarray:
        """Return the weight of each token in the components, (V,)."""
        return np.asarray(self.loadings_RVD.square().sum(dim=(0, 2)).cpu().numpy(), np.float64)

    def forward(self, values_BV: Tensor, network_BE: Tensor | None, code_B: Tensor) -> Tensor:
        """Embed cells, (B, E), given their batches, (B,)."""
        parts = [
            (torch.minimum(values_BV * weight_V, limit_V) @ loadings_VD - centre_D)
            for weight_V, limit_V, loadings_VD, centre_D in zip(
                self.weight_RV, self.limit_RV, self.loadings_RVD, self.centre_RD, strict=True
            )
        ]
        parts += [network_BE] if network_BE is not None else []
        before_BC = torch.cat(
            [own * scale for own, scale in zip(parts, self.scale_R, strict=True)], 1
        )
        embedded_BE = torch.empty(len(code_B), self.embedding_NE.shape[1], device=values_BV.device)
        for code in code_B.unique():
            own = code_B == code
            embedded_BE[own] = self._of_batch(before_BC[own], self.code_N == code)
        return embedded_BE

    def _of_batch(self, before_BC: Tensor, fitted_N: Tensor) -> Tensor:
        near_NC, embedding_NE = self.before_NC[fitted_N], self.embedding_NE[fitted_N]
        # Not by inner products: cancellation would hide that two cells are the same.
        distance_BN = torch.cdist(before_BC, near_NC, compute_mode="donot_use_mm_for_euclid_dist")
        distance_BK, place_BK = distance_BN.topk(min(NEIGHBOURS, len(near_NC)), largest=False)
        weight_BK = 1 / distance_BK.square().clamp(min=SAME**2)
        weight_BK = weight_BK / weight_BK.sum(dim=1, keepdim=True)
        rest_NE = embedding_NE - near_NC @ self.linear_CE
        carried_BE = before_BC @ self.linear_CE + (weight_BK[..., None] * rest_NE[place_BK]).sum(1)
        same_B1 = distance_BK[:, :1] < SAME
        return torch.where(same_B1, embedding_NE[place_BK[:, 0]], carried_BE)

    def decode(self, embedding_BE: Tensor) -> Tensor:
        """Predict the expression of every gene, (B, V), as if every cell came from the mean batch."""
        return (embedding_BE @ self.decoder_EV + self.offset_V).clamp(min=0)


def _fit_decoder(
    embedding_NE: np.ndarray, values_NV: sparse.csr_matrix, codes_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit genes linearly to the embedding with an offset per batch; return weights and mean offset."""
    batch_NK = np.eye(int(codes_N.max()) + 1)[codes_N]
    design = np.concatenate([embedding_NE, batch_NK], axis=1)
    width = embedding_NE.shape[1]
    normal = design.T @ design
    normal[:width, :width] += np.eye(width) * _RIDGE * np.trace(normal[:width, :width]) / width
    normal += np.eye(len(normal)) * 1e-9
    weights = np.linalg.solve(normal, np.asarray(values_NV.T @ design).T)
    return weights[:width], weights[width:].mean(axis=0)
