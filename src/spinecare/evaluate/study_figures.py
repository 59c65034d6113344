"""The pictures of a study, each as an SVG string that can stand inside an HTML page (as `figures` makes them).

Bounds (DESIGN 5.4), where given, are lines with their name: {"what two scans of one person agree on": 0.97}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from spinecare.evaluate import figures as f
from spinecare.evaluate.decision import DecisionCurve, RiskCoverage
from spinecare.evaluate.figures import COLOURS, GRID, INK, MUTED, STACK, _plot, _svg
from spinecare.evaluate.predictions import FIGURES, Figure, ModelEvaluation
from spinecare.evaluate.repeats import RepeatedEvaluation, RepeatedModel

# More lines than colours cannot be told apart.
MOST_LINES = len(COLOURS) + 1
DASHED = (0, (3, 3))
BOUND = (0, (6, 2))


def roc_svg(evaluation: RepeatedEvaluation, names: Sequence[str] | None = None) -> str:
    """ROC of osteoporosis against the rest, the mean over repeats; a dot at each model's own answers.

    names
        Which models, the first seven of them; None: the headline, then the others in their order.
    """
    fig, axes = _plot(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=DASHED)
    for name, colour, width in _lines(names or evaluation.models, evaluation.headline):
        model = evaluation.models[name]
        if not np.isfinite(np.concatenate(model.roc)).all():
            continue
        label = f"{name}, AUC {_interval(model.figures['auc'])}"
        axes.plot(*model.roc, color=colour, lw=width, label=label, zorder=2 + width / 10)
        recall, specificity = model.figures["recall"].value, model.figures["specificity"].value
        axes.plot(1 - specificity, recall, "o", color=colour, ms=3 + 2 * width, mec="white", zorder=4)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _label(axes, "1 - specificity", "recall (sensitivity)", legend="lower right")
    return _svg(fig, "ROC of osteoporosis against the rest, mean over repeats")


def calibration_svg(model: RepeatedModel) -> str:
    """Observed share against mean predicted p(osteoporosis), ten bins over all repeats, counts of one repeat."""
    bins = model.reliability | {"count": np.rint(model.reliability["count"]).astype(np.int64)}
    return f.reliability_svg(ModelEvaluation(model.name, np.nan, model.figures, reliability=bins))


def confusion_svg(model: RepeatedModel) -> str:
    """Mean counts over repeats of true class against the category said."""
    counts = model.confusion.round(1)
    whole = counts.astype(np.int64)
    # A mean of counts is shown with its decimal; the picture only divides and prints.
    shown = whole if (counts == whole).all() else cast(Any, counts)
    return f.confusion_svg(ModelEvaluation(model.name, np.nan, model.figures, confusion=shown))


def decision_svg(curve: DecisionCurve, names: Sequence[str] | None = None, headline: str | None = None) -> str:
    """Net benefit by threshold: models, telling everybody, telling nobody; the band is the headline's interval."""
    fig, axes = _plot(5.2, 3.8)
    t = curve.thresholds
    everybody = curve.treat_all.value
    axes.axhline(0, color=MUTED, lw=1, ls=DASHED, label="nobody told yes")
    axes.plot(t, everybody, color=MUTED, lw=1, label="everybody told yes")
    chosen = _lines(names or curve.models, headline)
    for name, colour, width in chosen:
        model = curve.models[name]
        axes.plot(t, model.value, color=colour, lw=width, label=name, zorder=2 + width / 10)
        if name == headline:
            axes.fill_between(t, model.low, model.high, color=colour, alpha=0.15, lw=0)
    top = max([float(np.nanmax(curve.models[name].value)) for name, *_ in chosen] + [float(everybody[0]), 0.01])
    axes.set(xlim=(0, 1), ylim=(-0.3 * top, 1.25 * top))
    _label(axes, "threshold probability of osteoporosis", "net benefit per scan", legend="upper right")
    return _svg(fig, "Decision curve")


def risk_svg(curves: Mapping[str, RiskCoverage], headline: str | None = None) -> str:
    """Error rate among the surest scans, by the share that is answered; the band is the headline's interval."""
    fig, axes = _plot(4.8, 3.6)
    for name, colour, width in _lines(curves, headline):
        curve = curves[name]
        axes.plot(curve.coverage, curve.risk.value, color=colour, lw=width, label=name)
        if name == headline:
            axes.fill_between(curve.coverage, curve.risk.low, curve.risk.high, color=colour, alpha=0.15, lw=0)
    axes.set(xlim=(0, 1.01))
    axes.set_ylim(bottom=0)
    _label(axes, "share of scans answered, the surest first", "share answered wrongly", legend="best")
    return _svg(fig, "Errors by share answered")


def learning_svg(
    curves: Mapping[str, Sequence[tuple[float, Figure]]],
    what: str = "auc",
    bounds: Mapping[str, float] | None = None,
    headline: str | None = None,
    across: str = "scans to learn from",
    title: str | None = None,
) -> str:
    """A figure by how much there was to learn from: for each model [(amount, Figure), ...], bars are intervals."""
    fig, axes = _plot(5.2, 3.8)
    for name, colour, width in _lines(curves, headline):
        points = sorted(curves[name], key=lambda point: point[0])
        x = np.array([amount for amount, _ in points])
        value, low, high = (np.array([getattr(figure, k) for _, figure in points]) for k in ("value", "low", "high"))
        axes.plot(x, value, "-o", color=colour, lw=width, ms=4, mec="white", label=name, zorder=2 + width / 10)
        axes.vlines(x, low, high, color=colour, lw=1, alpha=0.5)
    for name, at in _known(bounds):
        axes.axhline(at, color=INK, lw=0.9, ls=BOUND)
        axes.annotate(name, (1, at), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7, color=INK)
    _label(axes, across, FIGURES.get(what, what), legend="lower right")
    return _svg(fig, title or f"Learning curve, {what}")


def forest_svg(
    rows: Mapping[str, Figure],
    what: str = "auc",
    bounds: Mapping[str, float] | None = None,
    headline: str | None = None,
    reference: float | None = None,
    title: str | None = None,
) -> str:
    """One row a model: value, interval, and both in figures at the side; bounds and a reference as lines.

    Parameters
    ----------
    rows
        By name, top to bottom: `{name: model.figures["auc"]}`, or paired differences with `reference=0`.
    what
        A key of `FIGURES`, or the words along the axis.
    """
    names = list(rows)
    fig, axes = _plot(6.4, 1.0 + 0.24 * max(len(names), 1) + 0.16 * len(bounds or {}))
    for i, (name, figure) in enumerate(rows.items()):
        colour = STACK if name == headline else INK
        axes.plot([figure.low, figure.high], [i, i], color=colour, lw=2 if name == headline else 1.1)
        axes.plot(figure.value, i, "s", color=colour, ms=6 if name == headline else 4.5, mec="white")
        axes.text(
            1.01, i, _interval(figure), transform=axes.get_yaxis_transform(), va="center", fontsize=7.5, color=INK
        )
    if reference is not None:
        axes.axvline(reference, color=MUTED, lw=0.8, ls=DASHED, zorder=0)
    top = -0.9
    for name, at in _known(bounds):
        axes.axvline(at, color=INK, lw=0.9, ls=BOUND, zorder=0)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(at, top, f"{name}, {at:.3f} ", ha="right", va="center", fontsize=7, color=INK, bbox=behind)
        top -= 0.75
    axes.set(ylim=(len(names) - 0.4, top))
    axes.set_yticks(range(len(names)), names)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_color(STACK if name == headline else INK)
    _label(axes, FIGURES.get(what, what), "")
    return _svg(fig, title or f"{what} with interval")


def _lines(names: Iterable[str], headline: str | None) -> list[tuple[str, str, float]]:
    """Name, colour and width of each line, the headline first, no more than can be told apart."""
    chosen = sorted(names, key=lambda name: name != headline)[:MOST_LINES]
    colours = iter(COLOURS)
    return [(n, STACK, 2.2) if n == headline else (n, next(colours, MUTED), 1.1) for n in chosen]


def _known(bounds: Mapping[str, float] | None) -> list[tuple[str, float]]:
    """The bounds that have a number."""
    return [(name, at) for name, at in (bounds or {}).items() if np.isfinite(at)]


def _interval(figure: Figure) -> str:
    """A figure in words: value and interval."""
    if not np.isfinite(figure.value):
        return "–"
    if not np.isfinite([figure.low, figure.high]).all():
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _label(axes: Any, across: str, up: str, legend: str = "") -> None:
    """Names of the axes, a grid, and a legend where there is something to name."""
    axes.set_xlabel(across, color=INK, fontsize=9)
    axes.set_ylabel(up, color=INK, fontsize=9)
    axes.grid(color=GRID, lw=0.6)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(loc=legend, fontsize=7, frameon=False)
