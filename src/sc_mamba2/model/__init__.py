"""The model: config and presets, backbone, heads, losses, task and pretrained model,
checkpoint folder; in `upstream` what reads the released weights.

The scan itself stands in `ops`; training in `training`; a task's own head in its pipeline.
"""

from sc_mamba2.model.adapters import LoRALinear, adapter_parameters, add_adapters, merge_adapters
from sc_mamba2.model.adversary import BatchDiscriminator, GradientReversal, reverse_gradient
from sc_mamba2.model.backbone import Backbone
from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.domain_norm import DomainNorm
from sc_mamba2.model.embeddings import RealTokenBatchNorm
from sc_mamba2.model.growing import grow_backbone
from sc_mamba2.model.heads import (
    CellClassifier,
    CellExpressionDecoder,
    Expression,
    ExpressionDecoder,
    GeneDecoder,
)
from sc_mamba2.model.layer import BidirectionalLayer
from sc_mamba2.model.losses import elastic_similarity, masked_mse, masked_zero_nll
from sc_mamba2.model.mixer import Mamba2Mixer
from sc_mamba2.model.pooling import sum_of_genes
from sc_mamba2.model.presets import PRESETS, preset
from sc_mamba2.model.pretrained import Heads, Outputs, PretrainedModel
from sc_mamba2.model.saving import Checkpoint, load_state, read_checkpoint, write_checkpoint
from sc_mamba2.model.shipped import checkpoint_folder, shipped_checkpoints
from sc_mamba2.model.task_model import TaskModel
from sc_mamba2.model.token_chunks import expression_in_chunks

__all__ = [
    "PRESETS",
    "Backbone",
    "BatchDiscriminator",
    "BidirectionalLayer",
    "CellClassifier",
    "CellExpressionDecoder",
    "Checkpoint",
    "DomainNorm",
    "Expression",
    "ExpressionDecoder",
    "GeneDecoder",
    "GradientReversal",
    "Heads",
    "LoRALinear",
    "Mamba2Mixer",
    "ModelConfig",
    "Outputs",
    "PretrainedModel",
    "RealTokenBatchNorm",
    "TaskModel",
    "adapter_parameters",
    "add_adapters",
    "checkpoint_folder",
    "elastic_similarity",
    "expression_in_chunks",
    "grow_backbone",
    "load_state",
    "masked_mse",
    "masked_zero_nll",
    "merge_adapters",
    "preset",
    "read_checkpoint",
    "reverse_gradient",
    "shipped_checkpoints",
    "sum_of_genes",
    "write_checkpoint",
]
