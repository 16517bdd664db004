"""Reporting: one look for figures, and the one-file HTML report. It knows no task."""

from sc_mamba2.reporting.html import Section, Table, render_report
from sc_mamba2.reporting.style import new_figure, palette

__all__ = ["Section", "Table", "new_figure", "palette", "render_report"]
