"""One bidirectional layer: mixer in both directions, residual, norm, feed forward.

B cells, L tokens, D width.
"""

from torch import Tensor, nn

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.mixer import Mamba2Mixer
from sc_mamba2.ops import ScanPath

_NORMS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
}


def trunk_norm(config: ModelConfig) -> nn.Module:
    """Build the norm that the config names, over the width."""
    if config.norm == "none":
        return nn.Identity()
    return _NORMS[config.norm](config.d_model, eps=1e-5)


class BidirectionalLayer(nn.Module):
    """``x + mix(norm(x))`` (pre) or ``norm(x + mix(x))`` (post), then the same with a feed forward.

    ``mix`` averages both directions: with tied directions one mixer reads the row both ways, else
    each direction has its own.

    Parameters
    ----------
    config
        Shape of the backbone.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.before = config.norm_position == "pre"
        self.mixer = Mamba2Mixer(config)
        self.backward_mixer = None if config.tied_directions else Mamba2Mixer(config)
        self.norm = trunk_norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward: nn.Module | None = None
        if config.feed_forward:
            self.feed_forward = nn.Sequential(
                nn.Linear(config.d_model, config.feed_forward),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.feed_forward, config.d_model),
            )
            self.feed_forward_norm = trunk_norm(config)

    def forward(self, x_BLD: Tensor, lengths: Tensor, path: ScanPath = "auto") -> Tensor:
        """Run the layer over right-padded rows.

        Parameters
        ----------
        x_BLD
            (B, L, D).
        lengths
            Real tokens of each row, (B,), 0 to L; of packed rows see `ops.rows`.
        path
            Path of the scan.

        Returns
        -------
        Tensor
            (B, L, D); what stands at pads has no meaning.
        """
        mixed_BLD = self._mix(self.norm(x_BLD) if self.before else x_BLD, lengths, path)
        x_BLD = x_BLD + self.dropout(mixed_BLD)
        x_BLD = x_BLD if self.before else self.norm(x_BLD)
        if self.feed_forward is None:
            return x_BLD
        if self.before:
            return x_BLD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BLD)))
        fed_BLD: Tensor = self.feed_forward_norm(x_BLD + self.dropout(self.feed_forward(x_BLD)))
        return fed_BLD

    def _mix(self, x_BLD: Tensor, lengths: Tensor, path: ScanPath) -> Tensor:
        if self.backward_mixer is None:
            return self.mixer.both(x_BLD, lengths, path)
        ahead_BLD: Tensor = self.mixer(x_BLD, lengths, path)
        back_BLD: Tensor = self.backward_mixer(x_BLD, lengths, path, reverse=True)
        return (ahead_BLD + back_BLD) / 2
