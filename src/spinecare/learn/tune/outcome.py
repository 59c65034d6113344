"""What a search ends with: a config that a study can take, with where it comes from and what its value is not."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinecare import __version__
from spinecare.learn.tune.search import SearchSettings, choose

if TYPE_CHECKING:
    import optuna

OPTIMISTIC = (
    "The value is optimistic: it is the best of many tries on the same rows. It is no figure of performance; "
    "score these options on scans that the search has not seen."
)


@dataclass(frozen=True)
class Tuned:
    """The outcome so far.

    value
        The objective of the best trial; nan when none is finished. Optimistic, see `OPTIMISTIC`.
    finished, pruned, lost
        Trials: run to the end, given up by the pruner, failed or killed.
    toml
        The file with the best options.
    options
        The best trial's open options by path.
    """

    value: float
    finished: int
    pruned: int
    lost: int
    toml: Path
    options: dict[str, Any]


def write_outcome(study: optuna.Study, search: SearchSettings, data: dict[str, Any], n: int, out: Path) -> Tuned:
    """Write `tuned.toml`, `tuned.json` and `trials.csv` of the search as it stands."""
    trials = study.get_trials(deepcopy=False)
    states = [t.state.name for t in trials]
    finished, pruned = states.count("COMPLETE"), states.count("PRUNED")
    best = study.best_trial if finished else None
    value = float(best.value) if best is not None and best.value is not None else float("nan")
    file = out / "tuned.toml"
    tuned = Tuned(value, finished, pruned, len(states) - finished - pruned, file, {})
    _write_trials(trials, out / "trials.csv")
    if best is None:
        return tuned
    tuned.options.update({path: _plain(v) for path, v in best.params.items()})
    about = [
        f"Options found by `spinecare tune` {__version__}, {datetime.now(UTC):%Y-%m-%d}: search {search.name!r}, seed "
        f"{search.seed}, best of {finished + pruned} trials ({pruned} pruned).",
        f"Data: {_data(data)}, {n} scans; {search.repeats} x {search.folds} grouped stratified folds"
        + (f", fitted on {search.fit_share:.0%} of each training part." if search.fit_share < 1 else "."),
        f"Objective: {search.objective} of {search.headline!r}, out of fold: {value:.4f}. {OPTIMISTIC}",
    ]
    _put(file, "".join(f"# {line}\n" for line in about) + "\n" + to_toml(config_of(best, search)))
    told = {
        **asdict(tuned),
        "toml": file.name,
        "warning": OPTIMISTIC,
        "search": search.to_json(),
        "data": data,
        "n": n,
        "headline": search.headline,
        "objective": search.objective,
        "seed": search.seed,
        "storage_trials": len(trials),
    }
    _put(out / "tuned.json", json.dumps(told, indent=1) + "\n")
    return tuned


def config_of(best: optuna.trial.FrozenTrial, search: SearchSettings) -> dict[str, Any]:
    """A trial's options as a study's settings name them."""
    import optuna

    chosen = choose(optuna.trial.FixedTrial(best.params), search)
    config: dict[str, Any] = {"copies": chosen.copies, "headline": search.headline, "levels": search.levels}
    sources = {name: path for name, path in asdict(search.sources).items() if path is not None}
    tables = {"sources": sources, "augment": chosen.augment, "members": chosen.members, "combine": chosen.combine}
    return config | {name: table for name, table in tables.items() if table}


def to_toml(config: dict[str, Any]) -> str:
    """TOML of plain values, tables and tables of tables (the standard library reads TOML, but does not write it)."""
    lines = [f"{key} = {_value(value)}" for key, value in config.items() if not isinstance(value, dict)]
    for key, table in config.items():
        if not isinstance(table, dict):
            continue
        inner = {name: value for name, value in table.items() if isinstance(value, dict)}
        if len(inner) < len(table):
            lines += ["", f"[{key}]"]
            lines += [f"{name} = {_value(value)}" for name, value in table.items() if name not in inner]
        for name, options in inner.items():
            lines += ["", f"[{key}.{name}]", *(f"{option} = {_value(value)}" for option, value in options.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON's texts are TOML's basic strings; Python's floats are TOML's.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _data(data: dict[str, Any]) -> str:
    if "manifest" not in data:
        return "rows given by the caller"
    kind = "virtual patients" if data.get("virtual") else "training part"
    return f"{kind} of {data['manifest']} (SHA-256 {str(data.get('sha256', ''))[:12]})"


def _write_trials(trials: list[optuna.trial.FrozenTrial], file: Path) -> None:
    paths = list(dict.fromkeys(path for trial in trials for path in trial.params))
    part = file.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["trial", "state", "value", "folds_told", "seconds", *paths])
        for t in trials:
            seconds = f"{t.duration.total_seconds():.1f}" if t.duration else ""
            kept = [_plain(t.params[path]) if path in t.params else "" for path in paths]
            value = t.value if t.state.name == "COMPLETE" else ""
            writer.writerow([t.number, t.state.name.lower(), value, len(t.intermediate_values), seconds, *kept])
    part.replace(file)


def _put(file: Path, text: str) -> None:
    part = file.with_suffix(file.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
