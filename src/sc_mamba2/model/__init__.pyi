from .adapters import (
    adapter_parameters as adapter_parameters,
    add_adapters as add_adapters,
    merge_adapters as merge_adapters,
)
from .backbone import (
    Backbone as Backbone,
    BidirectionalLayer as BidirectionalLayer,
    grow_backbone as grow_backbone,
)
from .config import (
    PRESETS as PRESETS,
    ModelConfig as ModelConfig,
    preset as preset,
)
from .domains import (
    BatchDiscriminator as BatchDiscriminator,
    DomainNorm as DomainNorm,
    reverse_gradient as reverse_gradient,
)
from .embeddings import (
    RealTokenBatchNorm as RealTokenBatchNorm,
    sum_of_genes as sum_of_genes,
)
from .folder import (
    checkpoint_folder as checkpoint_folder,
    shipped_checkpoints as shipped_checkpoints,
)
from .heads import (
    CellClassifier as CellClassifier,
    CellExpressionDecoder as CellExpressionDecoder,
    Expression as Expression,
    ExpressionDecoder as ExpressionDecoder,
    expression_in_chunks as expression_in_chunks,
)
from .hub import (
    download as download,
    upload as upload,
)
from .losses import elastic_similarity as elastic_similarity
from .mixer import Mamba2Mixer as Mamba2Mixer
from .pretrained import (
    Heads as Heads,
    Outputs as Outputs,
    PretrainedModel as PretrainedModel,
)
from .saving import (
    Checkpoint as Checkpoint,
    load_state as load_state,
    read_checkpoint as read_checkpoint,
    write_checkpoint as write_checkpoint,
)
from .task_model import TaskModel as TaskModel
