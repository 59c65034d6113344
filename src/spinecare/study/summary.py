"""A finished study as its report, its card and `docs/results.md` see it, read from the run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spinecare.errors import EvaluationError

CONFIG_FILE, METRICS_FILE = "config.json", "metrics.json"
# What can be read off a scan without a network: whoever reads only these counts as a simple model.
SIMPLE_VIEWS = frozenset({"radiomics", "thumbnail", "hog", "profile", "geometry"})
SIMPLE_KINDS = frozenset({"logistic", "svm", "bagged_svm", "bagged_logistic", "forest", "mlp", "ordinal"})
MAIN = "auc"


@dataclass(frozen=True, eq=False)
class Summary:
    """The settings (`config.json`) and figures (`metrics.json`) of a finished study.

    Figures are the plain values of `evaluate.study_json`: value, interval {low, high} or None, n, patients,
    protocol, note.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.config.get("name", self.folder.name))

    @property
    def headline(self) -> str:
        """The model the study is about."""
        return str(self.metrics["headline"])

    @cached_property
    def roles(self) -> dict[str, str]:
        """Model → "member", "combiner" or "baseline", in the order of every table."""
        members = {one["name"] for one in self.config.get("members", ())}
        combiners = {one["name"] for one in self.config.get("combine", ())}
        return {
            name: "member" if name in members else "combiner" if name in combiners else "baseline"
            for name in self.metrics["models"]
        }

    @cached_property
    def simple(self) -> list[str]:
        """Baselines, and members that read no network's features."""
        return [name for name, role in self.roles.items() if role == "baseline" or name in self._simple_members]

    @cached_property
    def _simple_members(self) -> set[str]:
        found = set()
        for member in self.config.get("members", ()):
            views = member["options"].get("view", "radiomics")
            read = {views} if isinstance(views, str) else set(views)
            if member["kind"] in SIMPLE_KINDS and read <= SIMPLE_VIEWS:
                found.add(member["name"])
        return found

    def figure(self, model: str, key: str) -> dict[str, Any]:
        """One figure of one model."""
        return self.metrics["models"][model]["figures"][key]

    def difference(self, model: str, key: str) -> dict[str, Any] | None:
        """Headline minus model, paired; None where they were not compared."""
        compared = self.metrics["headline_minus_model"].get(model)
        return None if compared is None else compared["figures"].get(key)

    def wider(self, model: str, key: str) -> dict[str, Any] | None:
        """The same difference with its interval widened for models that were trained on shared scans; None without."""
        compared = self.metrics["headline_minus_model"].get(model)
        return None if compared is None else compared.get("wider", {}).get(key)

    def test(self, model: str, key: str) -> dict[str, Any] | None:
        """The test beside that difference; None where there is none."""
        compared = self.metrics["headline_minus_model"].get(model)
        return None if compared is None else compared["tests"].get(key)

    def best(self, among: Iterable[str], key: str = MAIN) -> str | None:
        """The model with the highest figure; None when none has one."""
        values = {name: self.figure(name, key)["value"] for name in among}
        known = {name: value for name, value in values.items() if value is not None}
        return max(known, key=lambda name: known[name]) if known else None

    def having(self, role: str) -> list[str]:
        """Models of one role, without the headline."""
        return [name for name, its in self.roles.items() if its == role and name != self.headline]


def read_summary(run: Path) -> Summary:
    """Read a finished study's settings and figures.

    Raises
    ------
    EvaluationError
        When the folder does not hold a finished study.
    """
    run = Path(run)
    read = {}
    for name in (CONFIG_FILE, METRICS_FILE):
        try:
            read[name] = json.loads((run / name).read_text("utf-8"))
        except FileNotFoundError as error:
            raise EvaluationError(
                f"{run} has no {name}: it is no finished study. Run `spinecare study MANIFEST --out {run}` to its end."
            ) from error
        except (OSError, ValueError) as error:
            raise EvaluationError(f"{run / name} cannot be read ({error}). Run the study again.") from error
    config = read[CONFIG_FILE]
    return Summary(run, config.get("settings", config), read[METRICS_FILE])


def shown(figure: dict[str, Any] | None, signed: bool = False) -> str:
    """A figure in a line of text: "0.853 [0.790, 0.911]", a dash where it is undefined."""
    if figure is None or figure["value"] is None:
        return "–"
    sign = "+" if signed else ""
    text = f"{figure['value']:{sign}.3f}"
    interval = figure.get("interval")
    return text if interval is None else f"{text} [{interval['low']:{sign}.3f}, {interval['high']:{sign}.3f}]"
