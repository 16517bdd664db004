"""Convert a released folder to our checkpoint folder, with the weights in memory only once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table
from sc_mamba2.model.backbone import Backbone
from sc_mamba2.model.pretrained import PretrainedModel
from sc_mamba2.model.saving import write_checkpoint
from sc_mamba2.model.upstream.files import Release, read_release
from sc_mamba2.model.upstream.genes import released_vocabulary
from sc_mamba2.model.upstream.names import DOMAINS, TASK_ONLY, released_name, rename, unused
from sc_mamba2.model.upstream.shape import (
    clash,
    derive_config,
    derive_heads,
    embedding_rows,
    layer_prefix,
)
from sc_mamba2.tokens import Tokenizer, TokenizerRules

LICENCE = (
    "CC BY-NC 4.0 of the authors, non-commercial; the licence of sc-mamba2 does not cover them"
)


@dataclass(frozen=True)
class ImportReport:
    """Result of an import.

    Parameters
    ----------
    mapped, unused
        Number of tensors taken over, and released names of the others.
    genes
        Report of `released_vocabulary`.
    folder
        The written checkpoint.
    """

    mapped: int
    unused: list[str]
    genes: dict[str, Any]
    folder: Path


def import_release(
    folder: str | Path, output: str | Path, *, overwrite: bool = False, domain: int | None = None
) -> ImportReport:
    """Convert a released folder to a checkpoint folder, written atomically.

    Parameters
    ----------
    folder, output
        The released folder, and the checkpoint folder to write.
    overwrite
        Whether to replace an existing checkpoint.
    domain
        Batch whose norm is used, for weights with one norm per batch (DSBN) and no plain one.

    Raises
    ------
    UserError
        Rules of `read_release`; `upstream-args`, `upstream-tensors`, `upstream-vocabulary`,
        `upstream-norm`; `checkpoint-exists`.
    """
    release = read_release(folder)
    domain = _choose_norm(release, domain)
    model, state, left_out = _convert(release, domain)
    write_checkpoint(
        output,
        state=state,
        config=model.description(),
        vocabulary=model.tokenizer.vocabulary,
        model_card=model.model_card(),
        overwrite=overwrite,
    )
    return ImportReport(len(state), left_out, model.origin["genes"], Path(output))


def _convert(
    release: Release, domain: int | None
) -> tuple[PretrainedModel, dict[str, Tensor], list[str]]:
    """Return the model on the meta device, its tensors, and the released names not used."""
    rows = embedding_rows(release.state)
    vocabulary, genes = released_vocabulary(release.names, rows, load_gene_table())
    config = derive_config(release.state, release.args, rows, vocabulary.pad_id)
    heads, extended = derive_heads(release.state, release.args, config.d_model)
    try:
        tokenizer = Tokenizer(vocabulary, TokenizerRules.model_validate({"n_bins": config.n_bins}))
    except ValidationError as error:
        raise clash(f"n_bins {config.n_bins}", "3 to 32,767 bins") from error
    with torch.device("meta"):
        model = PretrainedModel(Backbone(config), tokenizer, heads)
    layers = layer_prefix(release.state)
    released = {ours: released_name(ours, layers, domain) for ours in model.state_dict()}
    taken = set(released.values())
    spare = unused(release.state, (*TASK_ONLY, DOMAINS, *extended))
    left_out = [name for name in spare if name not in taken]
    state = rename(release.state, model.state_dict(), released, left_out)
    model.origin = {
        "weights": "imported from the authors' release of SC-MAMBA2",
        "licence_of_the_weights": LICENCE,
        "sha256_of_the_release": release.sha256,
        "tensors": len(state),
        "tensors_not_used": left_out,
        **({} if domain is None else {"norm_of_batch": domain}),
        "genes": genes,
    }
    return model, state, left_out


def _choose_norm(release: Release, domain: int | None) -> int | None:
    """Choose between the plain batch norm (`None`) and that of one batch."""
    plain = any(name.startswith("bn.") for name in release.state)
    domains = sorted({name.split(".")[2] for name in unused(release.state, (DOMAINS,))})
    held = f"norms of the batches {', '.join(domains[:20]) or 'none'}" + (
        ", and a plain one" if plain else ""
    )
    if domain is None and (plain or not domains):
        return None
    if domain is None or plain or str(domain) not in domains:
        option = "no choice" if domain is None else f"--dsbn {domain}"
        raise UserError(
            "upstream-norm",
            found=f"{held}; {option}",
            expected="the plain batch norm, or one chosen batch",
            mend="omit --dsbn" if plain else "choose the batch by its number: --dsbn NUMBER",
        )
    return domain
