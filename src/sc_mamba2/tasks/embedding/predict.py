"""Embed a file of any size in blocks, and add the embedding to a copy of the file."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells import CopiedCells, check_matched, keys, label_text, read_labels
from sc_mamba2.cells.blocks import decide_stored_form
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.cells.readers import NAMED
from sc_mamba2.cells.source_check import unnamed_source
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.embedding.blocks import BATCH, LABEL, EmbeddedBlocks
from sc_mamba2.tasks.embedding.encode import encode_blocks
from sc_mamba2.tasks.embedding.job import EmbedJob, identity_of
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, SourceParams
from sc_mamba2.tasks.shared.blocks import has_block, open_blocks, read_block
from sc_mamba2.tasks.shared.coverage import check_genes
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.params import IngestionParams, LaunchParams, ValidationParams
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tasks.shared.validation import placeholder_remarks
from sc_mamba2.tasks.shared.worker_processes import compute_in_workers
from sc_mamba2.training import ComputeOptions

_ALONE = LaunchParams()
_log = logging.getLogger(__name__)


def encode_file(
    encoder: Encoder,
    source: SourceParams,
    ingestion: IngestionParams,
    validation: ValidationParams,
    obs_keys: KeyParams,
    options: EmbeddingOptions,
    compute: ComputeOptions,
    launch: LaunchParams = _ALONE,
) -> EmbeddedBlocks:
    """Embed every cell of a source, continuing an interrupted run.

    Up to rounding, a cell's vector depends only on its own values, the genes of the file and the
    checkpoint, not on its block or batch, or the order of the cells.

    Returns
    -------
    EmbeddedBlocks
        The vectors on disk, the named keys, and what was read and dropped.

    Raises
    ------
    UserError
        If the file is invalid, before the first block is computed.
    """
    path = named_source(source)
    with open_cells(path) as stored:
        form = decide_valid_form(stored, ingestion, validation, options)
        obs = read_keys(stored.obs, obs_keys)
        form.report["absence"] = list(placeholder_remarks(stored.obs))
        coverage = check_genes(
            encoder.tokenizer.vocabulary,
            encoder.weight_V,
            form.var.index,
            options.minimum_share,
            validation.remark_weight_share if encoder.mapped else 0.0,
            "the index" if encoder.mapped else f"the checkpoint '{options.checkpoint}'",
        )
        folder, cells = Path(source.blocks), len(stored.obs)
        identity = identity_of(path, encoder, ingestion, options, compute)
        open_blocks(folder, identity)
        starts = list(range(0, cells, options.cells_a_block))
        todo = [start for start in starts if not has_block(folder, start)]
        if len(todo) < len(starts):
            _log.info("%d of %d blocks already exist", len(starts) - len(todo), len(starts))
        with training_progress("embedding", unit="cell") as on_cells:
            if todo and launch.uses_workers:
                job = EmbedJob(
                    source=path if path.startswith(NAMED) else str(Path(path).resolve()),
                    starts=tuple(todo),
                    form=form.to_json(),
                    identity=identity,
                    ingestion=ingestion,
                    options=options,
                    compute=compute,
                )
                compute_in_workers(job, folder, todo, launch, lambda cell: on_cells(cell, cells))
            else:
                for done in encode_blocks(encoder, stored, form, folder, todo, options, compute):
                    on_cells(done, cells)
    width = read_block(folder, starts[0], "vectors").shape[1]
    return EmbeddedBlocks(folder, path, width, options.cells_a_block, obs, form, coverage)


def decide_valid_form(
    stored: StoredCells,
    ingestion: IngestionParams,
    validation: ValidationParams,
    options: EmbeddingOptions,
) -> StandardForm:
    """Decide the standard form of a file's cells; raise if too few genes match."""
    table = load_gene_table(ingestion.gene_table)
    form = decide_stored_form(
        stored, table, options.cells_a_block, ingestion.layer, ingestion.holds
    )
    limits = validation.minimum_matched_share, validation.minimum_genes
    check_matched(form.report["genes"], *limits)
    return form


def named_source(source: SourceParams) -> Source:
    """Return the source; raise if none is named."""
    if source.input is None:
        raise unnamed_source()
    return source.input


def read_keys(obs: pd.DataFrame, obs_keys: KeyParams) -> pd.DataFrame:
    """Return the columns ``label`` and ``batch`` for the keys that are named, ``None`` if missing.

    Raises
    ------
    UserError
        A named column is absent, or has no labels.
    """
    table = pd.DataFrame(index=obs.index)
    if obs_keys.label_key is not None:
        table[LABEL] = read_labels(obs, obs_keys.label_key, obs_keys.keep_absence_words)
    if obs_keys.batch_key is not None:
        if obs_keys.batch_key not in obs:
            read_labels(obs, obs_keys.batch_key)  # raises, and suggests the closest column
        text = label_text(obs[obs_keys.batch_key]).reindex(obs.index).astype(object)
        table[BATCH] = text.where(text.notna(), None)
    return table


def write_embedded(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    options: EmbeddingOptions,
    run_info: dict[str, Any],
    calls: pd.DataFrame | None = None,
) -> CopiedCells:
    """Return what to add to a copy of the user's cells: embedding, facts, and types from an index."""
    facts = output_facts(
        run_info,
        embedded.form.report,
        encoder.checkpoint_sha256,
        encoder.tokenizer.vocabulary.sha256,
    ) | {"pooling": np.asarray(options.pooling, dtype=object)}
    added = pd.DataFrame(index=embedded.obs.index) if calls is None else calls
    return CopiedCells(embedded.source, added, {keys.EMBEDDING: embedded}, {keys.FACTS: facts})
