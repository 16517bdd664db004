"""Figures of denoising: nats by method, and calibration of expected against found molecules."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting import Picture, in_style, new_figure, scores_by_method


@in_style
def nats_figure(metrics: dict[str, Any]) -> Figure:
    """Plot the gain of every method over the gene means, with two standard errors."""
    methods = {
        method.partition(": ")[2].replace("_", " ") or "denoised": scores
        for method, scores in scores_by_method(metrics).items()
    }
    names = sorted(methods, key=lambda name: methods[name]["gain"])
    gains, errors = ([methods[n][score] for n in names] for score in ("gain", "gain_error"))
    colours = ["tab:orange" if name == "denoised" else "tab:blue" for name in names]
    figure, (axis,) = new_figure(width=8.0, height=1.2 + 0.28 * len(names))
    axis.barh(names, gains, xerr=2 * np.array(errors), color=colours)
    axis.axvline(0, color="grey", lw=0.8)
    axis.set_xlabel("gain over the gene means, nats per held-out molecule")
    return figure


@in_style
def calibration_figure(calibration: pd.DataFrame) -> Figure:
    """Plot mean found against expected molecules, with two standard errors of Poisson counts."""
    figure, (axis,) = new_figure(width=4.6, height=4.2)
    nonzero = calibration[calibration["found"] > 0]
    expected, found = nonzero["expected"], nonzero["found"]
    error = 2 * np.sqrt(found / nonzero["values"])
    span = [min(expected.min(), found.min()), max(expected.max(), found.max())]
    axis.plot(span, span, color="grey", ls="--", lw=0.8, label="as expected")
    axis.errorbar(expected, found, np.minimum(error, found * 0.99), fmt="o", ms=4, label="found")
    axis.set(xscale="log", yscale="log", xlabel="expected molecules", ylabel="found, mean")
    axis.legend()
    return figure


PICTURES = (
    Picture("nats", "How well each method predicts held-out molecules", nats_figure),
    Picture(
        "calibration",
        "Held-out molecules of a gene in a cell: expected by the denoised rates, and observed",
        calibration_figure,
    ),
)
