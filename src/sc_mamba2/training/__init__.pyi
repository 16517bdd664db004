from .checkpoints import (
    ModelContent as ModelContent,
    TrainingCheckpoints as TrainingCheckpoints,
    TrainingState as TrainingState,
)
from .journal import (
    Journal as Journal,
    read_journal as read_journal,
)
from .loop import (
    fit as fit,
    mean_loss as mean_loss,
    run_over_cells as run_over_cells,
)
from .machine import (
    Stop as Stop,
    choose_device as choose_device,
    seed_everything as seed_everything,
    stop_on_signals as stop_on_signals,
)
from .optimization import (
    flatten_optimizer as flatten_optimizer,
    unflatten_optimizer as unflatten_optimizer,
)
from .options import (
    ComputeOptions as ComputeOptions,
    FitOptions as FitOptions,
)
