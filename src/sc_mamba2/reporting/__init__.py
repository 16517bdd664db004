"""Reporting: one look for figures, and the one-file HTML report. It knows no task."""

from sc_mamba2.reporting.classes import class_figure, draw_shares, fewer_classes
from sc_mamba2.reporting.html import Section, Table, render_report
from sc_mamba2.reporting.layout import bare, class_legend, lay_out, point_size, scatter_classes
from sc_mamba2.reporting.naming import name_points
from sc_mamba2.reporting.pictures import Picture, captions, draw_pictures
from sc_mamba2.reporting.scores import (
    Scores,
    comparison,
    score_table,
    scores_by_method,
    task_report,
)
from sc_mamba2.reporting.sections import (
    beside_baselines,
    pictures_section,
    read_section,
    remark_words,
    worth_of_parts,
    written_section,
)
from sc_mamba2.reporting.style import in_style, label, new_figure, palette
from sc_mamba2.reporting.training import losses_apart, losses_together

__all__ = [
    "Picture",
    "Scores",
    "Section",
    "Table",
    "bare",
    "beside_baselines",
    "captions",
    "class_figure",
    "class_legend",
    "comparison",
    "draw_pictures",
    "draw_shares",
    "fewer_classes",
    "in_style",
    "label",
    "lay_out",
    "losses_apart",
    "losses_together",
    "name_points",
    "new_figure",
    "palette",
    "pictures_section",
    "point_size",
    "read_section",
    "remark_words",
    "render_report",
    "scatter_classes",
    "score_table",
    "scores_by_method",
    "task_report",
    "worth_of_parts",
    "written_section",
]
