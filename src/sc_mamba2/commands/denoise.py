"""`scm denoise`: denoised expression rates of each cell, evaluated on held-out molecules."""

from sc_mamba2.commands.options import resolve_names
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def denoise(given: Given) -> None:
    """Estimate what each cell expresses from its counts and those of others.

    scm denoise CELLS --output OUT.h5ad

    scm denoise CELLS --genes CD3D,LYZ --output OUT.h5ad

    scm denoise CELLS --impute CCR7,FOXP3 --output OUT.h5ad

    Writes OUT.h5ad (the cells with the layer scm_denoised, of named genes
    obsm) and the folder OUT.scm with report.html, metrics.json and figures.
    """
    genes = {"named_genes": given.genes, "imputed_genes": given.impute}
    more = {
        f"denoising.output.{name}": resolve_names(names) for name, names in genes.items() if names
    }
    run_task(TASKS["denoise"], "denoising", given, more)
