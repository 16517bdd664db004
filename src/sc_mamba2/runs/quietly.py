"""Kedro's own state of a project, loaded without what it says on import: not what a user of `scm` asked."""

import logging

_before = logging.root.manager.disable
logging.disable(max(_before, logging.INFO))
from kedro.framework.project import configure_project, pipelines  # noqa: E402

logging.disable(_before)

__all__ = ["configure_project", "pipelines"]
