"""The config of a backbone: one frozen pydantic model, and presets."""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tokens.options import Options

Norm = Literal["none", "layer", "rms"]


class ModelConfig(Options):
    """Architecture of a backbone."""

    vocabulary_size: int = Field(ge=2, description="vocabulary size, including `<pad>`")
    pad_id: int = Field(0, ge=0, description="id of `<pad>`, below `vocabulary_size`")
    d_model: int = Field(ge=1, description="dimension of a token's vector")
    n_layers: int = Field(ge=0, description="bidirectional layers; 0: embeddings only")
    d_state: int = Field(64, ge=1, description="SSM state dimension, per head channel")
    d_conv: int = Field(4, ge=1, description="kernel size of the causal convolution, in tokens")
    expand: int = Field(2, ge=1, description="inner width divided by `d_model`")
    head_dim: int = Field(64, ge=1, description="dimension of a head; divides `expand * d_model`")
    norm: Norm = Field("rms", description="norm of the trunk: none, layer or RMS")
    norm_position: Literal["pre", "post"] = Field(
        "pre", description="norm before each block (pre) or after its residual sum (post)"
    )
    final_norm: bool = Field(True, description="whether to apply a final norm after the trunk")
    feed_forward: int = Field(0, ge=0, description="hidden size of the feed-forward block; 0: none")
    input_norm: Literal["none", "layer", "batch"] = Field(
        "layer",
        description="norm of the summed gene and value embeddings; batch: over real tokens only",
    )
    input_norm_eps: float = Field(
        1e-5, gt=0, description="epsilon of the input norm, added to the variance, above 0"
    )
    value_encoder: Literal["continuous", "categorical", "scaling", "counts"] = Field(
        "continuous",
        description="continuous: a small network on the value; categorical: one embedding per bin; "
        "scaling: a factor on the gene embedding; counts: bins are counts, and the cell "
        "embedding is a bag of genes, corrected by queries that attend to the trunk's output",
    )
    cell_queries: int = Field(
        4, ge=1, description="attention queries per cell, if `value_encoder` is counts"
    )
    cell_start: Literal["token", "genes"] = Field(
        "token",
        description="input of the trunk at `<cls>`: token: its own embedding; genes: that plus the "
        "value-weighted sum of the cell's genes",
    )
    read_tokens: int = Field(
        0,
        ge=0,
        description="maximum genes per cell that the layers read, evenly sampled, if `value_encoder` is "
        "counts, whose bag holds all genes; 0: all",
    )
    token_kinds: int = Field(
        0,
        ge=0,
        description="token kinds, such as modalities, with an embedding each; 0: none",
    )
    n_bins: int = Field(51, ge=2, description="value bins, including the zero bin")
    tied_directions: bool = Field(
        True, description="whether both directions share one mixer or have one each"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability, 0 to below 1")
    initializer_std: float = Field(
        0.02, gt=0, description="standard deviation of initial embeddings, above 0"
    )

    @property
    def d_inner(self) -> int:
        """Inner width of the mixer."""
        return self.expand * self.d_model

    @property
    def n_heads(self) -> int:
        """Heads of the mixer."""
        return self.d_inner // self.head_dim

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.d_inner % self.head_dim:
            raise ValueError(
                f"head_dim {self.head_dim} does not divide expand * d_model = {self.d_inner}"
            )
        if self.value_encoder == "counts" and self.cell_start != "token":
            raise ValueError(
                "value_encoder counts has its own bag of genes: set cell_start to token"
            )
        if self.read_tokens and self.value_encoder != "counts":
            raise ValueError("read_tokens needs a bag of all genes: value_encoder counts")
        if self.pad_id >= self.vocabulary_size:
            raise ValueError(f"pad_id {self.pad_id} is not below {self.vocabulary_size} tokens")
        if self.norm == "none" and self.final_norm:
            raise ValueError("final_norm needs a norm: set norm to layer or rms, or final_norm off")
        return self

    @classmethod
    def build(cls, **fields: Any) -> "ModelConfig":
        """Build a config from fields; raise a `UserError` (rule `model-config`) if they are invalid."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise UserError(
                "model-config",
                found=invalid_fields(error),
                expected="fields of ModelConfig within their ranges",
                mend="correct these fields",
            ) from error


def invalid_fields(error: ValidationError) -> str:
    """Return the names of invalid fields, and what is wrong with each, on one line."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'together'}: {one['msg']}" for one in error.errors()
    )


# Architecture of the released weights: no norm in the trunk, batch norm at the input.
_RELEASE: dict[str, Any] = {
    "n_layers": 36,
    "d_model": 1536,
    "norm": "none",
    "final_norm": False,
    "input_norm": "batch",
    "input_norm_eps": 6.1e-5,
}

PRESETS: dict[str, dict[str, Any]] = {
    "genes": {"n_layers": 0, "d_model": 32, "head_dim": 64},
    "bag": {"n_layers": 0, "d_model": 64, "head_dim": 64},
    "micro": {"n_layers": 2, "d_model": 64},
    "tiny": {"n_layers": 4, "d_model": 128},
    "small": {"n_layers": 8, "d_model": 256},
    "base": {"n_layers": 12, "d_model": 512},
    "upstream-625m": _RELEASE,
    # As in the paper's figure: layer norm and feed-forward after the block.
    "figure": {**_RELEASE, "norm": "layer", "norm_position": "post", "feed_forward": 1536},
}


def preset(name: str, vocabulary_size: int, **overrides: Any) -> ModelConfig:
    """Build the config of a preset of `PRESETS`, with some fields of `ModelConfig` overridden.

    Raises
    ------
    UserError
        Rule `preset` for an unknown name, `model-config` for an invalid field.
    """
    if name not in PRESETS:
        raise UserError(
            "preset",
            found=f"'{name}'",
            expected="one of " + ", ".join(PRESETS),
            mend="choose one of these presets" + nearest(name, PRESETS),
        )
    return ModelConfig.build(**{"vocabulary_size": vocabulary_size, **PRESETS[name], **overrides})
