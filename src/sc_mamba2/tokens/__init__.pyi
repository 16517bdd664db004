from .augmentation import (
    drop_genes as drop_genes,
    hide_tokens as hide_tokens,
    thin_cells as thin_cells,
)
from .batches import (
    Batch as Batch,
    make_batch as make_batch,
)
from .binning import (
    bin_cells as bin_cells,
    rank_cells as rank_cells,
)
from .counts import estimate_counts as estimate_counts
from .masking import (
    MASK_BIN as MASK_BIN,
    MaskedBatch as MaskedBatch,
    mask_tokens as mask_tokens,
)
from .modalities import (
    KINDS as KINDS,
    clr as clr,
    grown_vocabulary as grown_vocabulary,
    inverse_document_frequency as inverse_document_frequency,
    join_tokens as join_tokens,
    kinds_of as kinds_of,
    tf_idf as tf_idf,
    visible_part as visible_part,
)
from .options import (
    MaskOptions as MaskOptions,
    Options as Options,
    ThinningOptions as ThinningOptions,
    TokenizerRules as TokenizerRules,
)
from .sampler import (
    Sampler as Sampler,
    rank_share as rank_share,
    reading_order as reading_order,
    weights_by_group as weights_by_group,
)
from .store import (
    TokenStore as TokenStore,
    TokenStoreWriter as TokenStoreWriter,
)
from .thinning import (
    ThinnedBatch as ThinnedBatch,
    thin_batch as thin_batch,
)
from .tokenized import (
    Ragged as Ragged,
    TokenizedCells as TokenizedCells,
    TokenSource as TokenSource,
    as_matrix as as_matrix,
    load_tokens as load_tokens,
    save_tokens as save_tokens,
    stack_cells as stack_cells,
)
from .tokenizer import Tokenizer as Tokenizer
