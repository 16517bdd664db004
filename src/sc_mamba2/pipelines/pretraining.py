"""files -> corpus of tokens -> pretrained model, its journal and its picture."""

from kedro.pipeline import Pipeline, node

from sc_mamba2.tasks.pretraining.nodes import draw_loss, make_corpus, train

_OPTIONS = ("shape", "masks", "sampling", "objective", "training", "held_out", "keep")


def create_pipeline() -> Pipeline:
    """Return the pipeline."""
    own = {name: f"params:pretraining.{name}" for name in ("corpus", "launch", *_OPTIONS)}
    return Pipeline(
        [
            node(
                make_corpus,
                inputs=own["corpus"],
                outputs="pretraining.corpus_report",
                name="make_corpus",
                tags="pretraining",
            ),
            node(
                train,
                inputs={
                    "corpus_report": "pretraining.corpus_report",
                    "compute": "params:compute",
                    "run_info": "run_info",
                    **own,
                },
                outputs=["pretraining.metrics", "pretraining.history"],
                name="pretrain",
                tags="pretraining",
            ),
            node(
                draw_loss,
                inputs="pretraining.history",
                outputs="pretraining.figures",
                name="draw_loss",
                tags="pretraining",
            ),
        ]
    )
