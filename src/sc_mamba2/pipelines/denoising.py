"""The denoising pipeline, as a table of nodes; it trains nothing.

Names without a dot are in the namespace `denoising`.
"""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, step
from sc_mamba2.tasks.denoising.choose import choose, judge
from sc_mamba2.tasks.denoising.evaluate import score
from sc_mamba2.tasks.denoising.genes import prepare
from sc_mamba2.tasks.denoising.imputed import impute
from sc_mamba2.tasks.denoising.predict import denoise, write_denoised
from sc_mamba2.tasks.denoising.report import report


def create_pipeline() -> Pipeline:
    """Return the pipeline that chooses a prior on held-out molecules, and denoises with it."""
    nodes = [
        step(
            prepare,
            "raw_cells valid_cells params:output params:priors params:ingestion",
            "counts genes written",
        ),
        step(
            choose,
            "counts genes params:split params:priors params:output params:compute",
            "choices",
        ),
        step(
            judge,
            "counts genes choices params:split params:priors params:output params:compute",
            "judged",
            "evaluation",
        ),
        step(
            impute,
            "counts genes params:output params:priors params:ingestion params:compute",
            "imputed",
        ),
        step(
            score,
            "judged choices imputed params:priors validation_report run_info",
            "metrics",
            "evaluation",
        ),
        step(
            denoise,
            "counts genes written choices params:priors params:output params:compute",
            "rates",
        ),
        step(
            write_denoised,
            "raw_cells rates imputed written metrics validation_report run_info",
            "denoised",
        ),
        step(report, "judged metrics parameters", "figures report", "reporting"),
    ]
    return namespaced(Pipeline(nodes), "denoising", REFERENCE)
