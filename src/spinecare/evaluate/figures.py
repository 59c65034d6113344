"""The pictures of an evaluation, each as an SVG string that can stand inside an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from spinecare.evaluate.predictions import Evaluation, ModelEvaluation
from spinecare.scan import LABELS

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
STACK = "#0b6e8f"
COLOURS = ("#c8553d", "#6a8d3a", "#8a5a9e", "#b8892b", "#4f6d9a", "#5b5b5b")
NAMES = tuple(str(label).replace("_", " ") for label in LABELS)


def _plot(width: float, height: float) -> tuple[Any, Any]:
    """One figure with one pair of axes, drawn without a screen; sizes in inches."""
    # matplotlib belongs to the `train` extra, and to read an evaluation needs none of it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(colors=MUTED, labelsize=8)
    for side in axes.spines.values():
        side.set_color(GRID)
    return figure, axes


def _svg(figure: Any, title: str) -> str:
    """A figure as one `<svg>` element with its title in the metadata; same input, same bytes."""
    import matplotlib

    buffer = io.StringIO()
    # Ids are hashed with the title: several of these stand in one page and must not share clip paths.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    text = buffer.getvalue()
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r'\bid="', f'id="{prefix}-', text[text.index("<svg") :])
    return re.sub(r'(href="|url\()#', rf"\1#{prefix}-", text)


def confusion_svg(model: ModelEvaluation) -> str:
    """Counts of true class against the category said, shaded by the share of each true class."""
    if model.confusion is None:
        raise ValueError(f"{model.name} is a score and has no confusion matrix.")
    counts = model.confusion
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _plot(3.9, 3.3)
    # Cells as paths: a picture inside the SVG would not scale.
    axes.pcolormesh(share, cmap="GnBu", vmin=0, vmax=1.25, edgecolor="white", linewidth=1)
    axes.set(aspect="equal", ylim=(len(NAMES), 0))
    for i in range(len(NAMES)):
        for j in range(len(NAMES)):
            colour = "white" if share[i, j] > 0.75 else INK
            axes.text(j + 0.5, i + 0.42, f"{counts[i, j]}", ha="center", va="center", color=colour, fontsize=12)
            axes.text(j + 0.5, i + 0.74, f"{share[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=7.5)
    wrapped = [name.replace(" bone", "\nbone") for name in NAMES]
    axes.set_xticks(np.arange(len(NAMES)) + 0.5, wrapped)
    axes.set_yticks(np.arange(len(NAMES)) + 0.5, wrapped)
    axes.set_xlabel("category said", color=INK, fontsize=9)
    axes.set_ylabel("true class", color=INK, fontsize=9)
    axes.tick_params(length=0)
    return _svg(figure, f"Confusion matrix of {model.name}")


def roc_svg(models: Mapping[str, ModelEvaluation]) -> str:
    """ROC of osteoporosis against the rest, one line a model, a dot at each one's operating point."""
    figure, axes = _plot(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (3, 3)))
    for i, model in enumerate(models.values()):
        if model.roc is None or not np.isfinite(np.concatenate(model.roc)).all():
            continue
        main = model.name == "stack"
        colour = STACK if main else COLOURS[i % len(COLOURS)]
        auc = model.figures["auc"].value
        label = f"{model.name}, AUC {auc:.3f}"
        axes.plot(*model.roc, color=colour, lw=2.2 if main else 1.1, label=label, zorder=3 if main else 2)
        recall, specificity = model.figures["recall"].value, model.figures["specificity"].value
        axes.plot(1 - specificity, recall, "o", color=colour, ms=7 if main else 5, mec="white", zorder=4)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("1 - specificity", color=INK, fontsize=9)
    axes.set_ylabel("recall (sensitivity)", color=INK, fontsize=9)
    axes.grid(color=GRID, lw=0.6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=8, frameon=False)
    return _svg(figure, "ROC of osteoporosis against the rest")


def reliability_svg(model: ModelEvaluation) -> str:
    """Observed share against mean predicted p(osteoporosis) in ten bins, with 95 % Wilson bars and counts.

    Bars: Wilson 1927, 10.1080/01621459.1927.10502953 (over scans: a rough guide, the figures carry intervals
    over patients).
    """
    bins = model.reliability
    if bins is None:
        raise ValueError(f"{model.name} is a score and has no reliability plot.")
    filled = bins["count"] > 0
    n, x, y = bins["count"][filled], bins["predicted"][filled], bins["observed"][filled]
    z2 = 1.959964**2
    middle = (y + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (y * (1 - y) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    figure, axes = _plot(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (3, 3)))
    axes.vlines(x, middle - half, middle + half, color=STACK, lw=1.2, alpha=0.6)
    axes.plot(x, y, "-o", color=STACK, lw=1.4, ms=5, mec="white")
    for count, at in zip(n, x, strict=True):
        axes.text(at, -0.075, f"{count}", ha="center", va="center", fontsize=7.5, color=MUTED)
    axes.text(-0.012, -0.075, "n", ha="right", va="center", fontsize=7.5, color=MUTED)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.12, 1.03), aspect="equal")
    axes.set_xlabel("predicted p(osteoporosis)", color=INK, fontsize=9)
    axes.set_ylabel("share with osteoporosis", color=INK, fontsize=9)
    axes.grid(color=GRID, lw=0.6)
    return _svg(figure, f"Reliability of {model.name}")


def figures_of(evaluation: Evaluation) -> dict[str, str]:
    """Every picture of an evaluation by its file name without ending."""
    pictures = {"roc": roc_svg(evaluation.models)}
    # The stack's pictures first: it is what the product answers with.
    for name, model in sorted(evaluation.models.items(), key=lambda item: item[0] != "stack"):
        safe = re.sub(r"\W+", "_", name)
        pictures[f"confusion_{safe}"] = confusion_svg(model)
        pictures[f"reliability_{safe}"] = reliability_svg(model)
    return pictures
