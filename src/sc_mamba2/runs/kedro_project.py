"""Import Kedro's project state without the messages that it logs on import."""

import logging

_before = logging.root.manager.disable
logging.disable(max(_before, logging.INFO))
from kedro.framework.project import configure_project, pipelines  # noqa: E402

logging.disable(_before)

__all__ = ["configure_project", "pipelines"]
