"""The model: config and presets, backbone, heads, losses, task and pretrained model,
checkpoint folder; in `upstream` what reads the released weights.

The scan itself stands in `ops`; training in `training`; a task's own head in `tasks`.
"""

from sc_mamba2.model.adapters import adapter_parameters, add_adapters, merge_adapters
from sc_mamba2.model.backbone import Backbone, BidirectionalLayer, grow_backbone
from sc_mamba2.model.config import PRESETS, ModelConfig, preset
from sc_mamba2.model.domains import BatchDiscriminator, DomainNorm, reverse_gradient
from sc_mamba2.model.embeddings import RealTokenBatchNorm, sum_of_genes
from sc_mamba2.model.heads import (
    CellClassifier,
    CellExpressionDecoder,
    Expression,
    ExpressionDecoder,
    expression_in_chunks,
)
from sc_mamba2.model.losses import elastic_similarity
from sc_mamba2.model.mixer import Mamba2Mixer
from sc_mamba2.model.pretrained import Heads, Outputs, PretrainedModel
from sc_mamba2.model.saving import (
    Checkpoint,
    checkpoint_folder,
    load_state,
    read_checkpoint,
    shipped_checkpoints,
    write_checkpoint,
)
from sc_mamba2.model.task_model import TaskModel

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
    "Heads",
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
    "merge_adapters",
    "preset",
    "read_checkpoint",
    "reverse_gradient",
    "shipped_checkpoints",
    "sum_of_genes",
    "write_checkpoint",
]
