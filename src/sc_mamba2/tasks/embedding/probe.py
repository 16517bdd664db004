"""Probe of `encode_file`: tokenize an even sample of the file's cells, and encode a few batches."""

import numpy as np

from sc_mamba2.cells.blocks import standard_blocks
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, SourceParams
from sc_mamba2.tasks.embedding.predict import decide_valid_form, named_source, read_keys
from sc_mamba2.tasks.shared.backbone import encode_cells
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.probe import count_parameters
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tasks.shared.work import Work, count_tokens, forward_rate, forward_work
from sc_mamba2.training import ComputeOptions, choose_device
from sc_mamba2.training.corpus_cells import even_sample
from sc_mamba2.training.machine import peak_bytes


def probe_encoding(
    encoder: Encoder,
    source: SourceParams,
    ingestion: IngestionParams,
    validation: ValidationParams,
    obs_keys: KeyParams,
    options: EmbeddingOptions,
    compute: ComputeOptions,
) -> Work:
    """Check the file like `encode_file`, and encode a few batches of its cells."""
    with open_cells(named_source(source)) as stored:
        form = decide_valid_form(stored, ingestion, validation, options)
        read_keys(stored.obs, obs_keys)
        cells = len(stored.obs)
        kept = np.zeros(cells, dtype=bool)
        kept[even_sample(np.arange(cells), options.cells_a_block)] = True
        block = next(standard_blocks(stored, form, options.cells_a_block, kept))
    tokenizer = encoder.tokenizer
    tokens = tokenize_cells(block, tokenizer, with_obs=False)
    rate = forward_rate(
        lambda some: encode_cells(encoder.backbone, some, tokenizer, options, compute),
        tokens,
        options.batch_size,
    )
    return forward_work(
        "embedding",
        {"cells": count_tokens(tokens.lengths, tokenizer.rules.max_length, cells)},
        rate,
        options.batch_size,
        parameters=count_parameters(encoder.backbone),
        peak_bytes=peak_bytes(choose_device(compute.device)),
        reports={"cells": {"cells": cells} | form.report},
    )
