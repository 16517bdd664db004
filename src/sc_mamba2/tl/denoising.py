"""`tl.denoise`: denoised expression rates of each cell, evaluated on held-out molecules."""

from collections.abc import Sequence

from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.denoising.choose import choose, judge
from sc_mamba2.tasks.denoising.evaluate import score
from sc_mamba2.tasks.denoising.genes import prepare
from sc_mamba2.tasks.denoising.imputed import impute as impute_genes
from sc_mamba2.tasks.denoising.params import DenoisingParams
from sc_mamba2.tasks.denoising.predict import add_denoised, denoise as denoise_counts
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import Changes, Groups, returned, run_facts, valid_cells
from sc_mamba2.tl.tool import tool

GROUPS = SHARED_GROUPS | {"denoising": DenoisingParams}


@tool("denoise")
def denoise(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    impute: Sequence[str] | None = None,
    *,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Estimate the expression of each cell from its own and other cells' counts, like `scm denoise`.

    Parameters
    ----------
    adata
        N cells with whole counts.
    genes
        Genes to write, by symbol or Ensembl id; by default all.
    impute
        Genes missing from the cells, to be imputed by the pretrained model.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``layers["scm_denoised"]`` (N, G) float32, expected molecules
        per 10,000, NaN for genes that were not read; ``var["scm_denoised"]``, which genes have values;
        with `genes`, the table ``obsm["scm_denoised"]`` instead; ``obsm["scm_imputed"]``, molecules per
        10,000 of the genes that were read; ``uns["scm"]``.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=60)
    >>> scm.tl.denoise(cells)
    >>> cells.layers["scm_denoised"].sum(axis=1).round()[:2].tolist()
    [10000.0, 10000.0]
    """
    requested = {"named_genes": genes, "imputed_genes": impute}
    named = {
        f"denoising.output.{key}": ",".join(given)
        for key, given in requested.items()
        if given is not None
    }
    groups: Groups = build_parameters(GROUPS, {**named, **options})
    split, priors, output = (getattr(groups["denoising"], n) for n in ("split", "priors", "output"))
    ingestion, compute = groups["ingestion"], groups["compute"]
    cells = valid_cells(adata, groups)
    counts, ids, written = prepare(cells.raw, cells.valid, output, priors, ingestion)
    choices = choose(counts, ids, split, priors, output, compute)
    judged = judge(counts, ids, choices, split, priors, output, compute)
    imputed = impute_genes(counts, ids, output, priors, ingestion, compute)
    metrics = score(judged, choices, imputed, priors, cells.report, {})
    denoised = denoise_counts(counts, ids, written, choices, priors, output, compute)
    facts = output_facts(run_facts("tl.denoise", groups), cells.report)
    results = AnnData(obs=adata.obs[[]], var=adata.var[[]])
    add_denoised(results, denoised, imputed, written, facts, metrics)
    return returned(adata, results, key_added, copy)
