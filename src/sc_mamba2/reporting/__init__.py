"""Reporting: one look for figures, and the one-file HTML report. It knows no task."""

from sc_mamba2.reporting.classes import class_figure
from sc_mamba2.reporting.html import Section, Table, render_report
from sc_mamba2.reporting.layout import bare, lay_out, point_size, scatter_classes
from sc_mamba2.reporting.scores import (
    Scores,
    comparison,
    score_table,
    scores_by_method,
    task_report,
)
from sc_mamba2.reporting.style import new_figure, palette

__all__ = [
    "Scores",
    "Section",
    "Table",
    "bare",
    "class_figure",
    "comparison",
    "lay_out",
    "new_figure",
    "palette",
    "point_size",
    "render_report",
    "scatter_classes",
    "score_table",
    "scores_by_method",
    "task_report",
]
