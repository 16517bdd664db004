"""The pretraining pipeline: files -> corpus of tokens -> pretrained model, journal and figure."""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import step
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.figures import draw_loss
from sc_mamba2.tasks.pretraining.fit import pretrain
from sc_mamba2.tasks.pretraining.params import PretrainingParams


def create_pipeline() -> Pipeline:
    """Return the pretraining pipeline."""
    own = " ".join(f"params:pretraining.{name}" for name in PretrainingParams.model_fields)
    inputs = f"pretraining.corpus_report {own} params:compute run_info"
    return Pipeline(
        [
            step(make_corpus, "params:pretraining.corpus", "pretraining.corpus_report"),
            step(pretrain, inputs, "pretraining.metrics pretraining.history"),
            step(draw_loss, "pretraining.history", "pretraining.figures"),
        ],
        tags="pretraining",
    )
