"""The one table of tasks. The verbs, the stages of dvc.yaml and the docs are tested against it."""

from dataclasses import dataclass

from sc_mamba2.cells import keys


@dataclass(frozen=True)
class Task:
    """A task: its pipeline and namespace, its verb, and the keys that it writes into an AnnData."""

    pipeline: str
    verb: str
    writes: tuple[str, ...]


TASKS = (
    Task(
        pipeline="embedding",
        verb="embed",
        writes=(
            f"obs/{keys.CELL_TYPE}",
            f"obs/{keys.CONFIDENCE}",
            f"obs/{keys.DISTANCE}",
            f"obs/{keys.UNASSIGNED}",
            f"obsm/{keys.EMBEDDING}",
            f"uns/{keys.FACTS}",
        ),
    ),
    Task(
        pipeline="annotation",
        verb="annotate",
        writes=(
            f"obs/{keys.CELL_TYPE}",
            f"obs/{keys.CONFIDENCE}",
            f"obs/{keys.UNASSIGNED}",
            f"obsm/{keys.PROBABILITY}",
            f"obsm/{keys.EMBEDDING}",
            f"uns/{keys.FACTS}",
        ),
    ),
    Task(
        pipeline="batch_correction",
        verb="integrate",
        writes=(f"obsm/{keys.CORRECTED}", f"layers/{keys.CORRECTED_LAYER}", f"uns/{keys.FACTS}"),
    ),
    Task(
        pipeline="perturbation",
        verb="perturb",
        writes=(f"layers/{keys.PREDICTED}", f"var/{keys.PREDICTED}", f"uns/{keys.FACTS}"),
    ),
    Task(
        pipeline="multiomics",
        verb="multiome",
        writes=(
            f"obs/{keys.HELD_OUT}",
            f"obsm/{keys.JOINT}",
            f"obsm/{keys.EMBEDDING}_rna",
            f"obsm/{keys.IMPUTED}_protein",
            f"var/{keys.IMPUTED_ERROR}",
            f"uns/{keys.FACTS}",
        ),
    ),
    Task(pipeline="reverse_perturbation", verb="reverse", writes=()),
    Task(pipeline="gene_network", verb="network", writes=()),
)
