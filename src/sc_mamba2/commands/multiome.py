"""`scm multiome`: a joint embedding of cells from several modalities, trained on them or by a checkpoint."""

from typing import Any

from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def multiome(given: Given) -> None:
    """Embed RNA and protein, or RNA and ATAC, of the same cells.

    scm multiome RNA.h5ad PROTEIN.h5ad --output OUT.h5mu

    scm multiome MORE.h5mu --checkpoint OUT.scm/checkpoint --output MORE_OUT.h5mu

    Cells that lack a modality take part with the others, from which it is
    predicted. Writes OUT.h5mu (the modalities with X_scm_joint) and the folder
    OUT.scm with report.html, metrics.json, figures and the reusable checkpoint.
    """
    # Without --label-key there are no labels, rather than those of the example cells; `none` is no checkpoint.
    more: dict[str, Any] = {"multiomics.keys.label_key": given.label_key}
    if given.start:
        start = None if given.start == "none" else given.start
        more["multiomics.backbone.checkpoint"] = start
    if given.held_out:
        column, equals, value = given.held_out.partition("=")
        if not equals:
            raise contradiction(
                f"--held-out {given.held_out}", "COLUMN=VALUE", "write --held-out split=test"
            )
        held_out = {"held_out_key": column or None, "held_out_value": value or None}
        more |= {f"multiomics.keys.{k}": v for k, v in held_out.items() if v is not None}
    pipeline = "multiomics_predict" if given.checkpoint else "multiomics"
    run_task(TASKS["multiome"], pipeline, given, more)
