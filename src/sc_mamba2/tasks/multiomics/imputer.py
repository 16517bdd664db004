"""Predict a modality from the others: ridge on their values, and a kernel on the model's embedding.

`fit` fits it to training cells, without epochs. Legend: B cells, A anchors (training cells), F numbers
of the model (embedding and trunk state), P predicted features, V joint vocabulary.
"""

import torch
from torch import Tensor, nn

from sc_mamba2.model import sum_of_genes
from sc_mamba2.tokens import Batch


class Imputer(nn.Module):
    """``y = b + sum_l v_l R[g_l] + sum_a w_a exp(-c |f - f_a|^2)``.

    v are the values of the visible modalities, R a readout, f the cell's scaled embedding and trunk state
    from them, f_a those of the anchors. Without the second sum it is ridge regression.

    Parameters
    ----------
    vocabulary_size, numbers, features, anchors
        V, or 0 for no readout; F; P; A.
    """

    readout_VP: Tensor
    anchor_AF: Tensor
    weight_AP: Tensor
    bias_P: Tensor
    scale_F: Tensor
    curvature: Tensor

    def __init__(self, vocabulary_size: int, numbers: int, features: int, anchors: int) -> None:
        super().__init__()
        self.anchors = anchors
        shapes = {
            "readout_VP": (vocabulary_size, features),
            "anchor_AF": (anchors, numbers),
            "weight_AP": (anchors, features),
            "bias_P": (features,),
            "scale_F": (numbers,),
            "curvature": (),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, batch: Batch, cell_BE: Tensor, states_BD: Tensor | None) -> Tensor:
        """Predict the features, (B, P), of cells with only the other modalities visible."""
        numbers_BF = cell_BE if states_BD is None else torch.cat([cell_BE, states_BD], dim=1)
        predicted_BP: Tensor = self.kernel(numbers_BF) @ self.weight_AP + self.bias_P
        if len(self.readout_VP):
            predicted_BP = predicted_BP + sum_of_genes(batch, self.readout_VP)
        return predicted_BP

    def kernel(self, numbers_BF: Tensor) -> Tensor:
        """Return the kernel between cells and anchors, (B, A), 0 to 1."""
        scaled_BF, anchor_AF = numbers_BF * self.scale_F, self.anchor_AF * self.scale_F
        return torch.exp(-self.curvature * torch.cdist(scaled_BF, anchor_AF).square())
