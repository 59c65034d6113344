"""What is searched: a study's members, combiners and augmentation, where an option may be a range instead of a value.

    headline = "stack"
    copies = 8

    [augment]
    gamma = {low = 0.0, high = 0.4}

    [members.svm]
    kind = "svm"
    view = {choices = ["radiomics", "hog", ["radiomics", "hog"]]}
    components = {choices = [10, 20, 40, "default"]}
    strength = {low = 0.01, high = 100.0, log = true}

    [members.cnn]
    kind = "cnn"
    depth = {choices = ["frozen", 1, "all"]}
    learning_rate = {low = 1e-5, high = 1e-3, log = true, when = {depth = [1, "all"]}}

    [combine.stack]
    kind = "stack"
    strength = {low = 0.001, high = 10.0, log = true}

The word "default" among choices leaves the option to its member. An option with `when` is drawn, and given, only where
the option that it names (further up) has that value, or one of those values.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinecare.errors import TrainingError
from spinecare.learn.material import Sources
from spinecare.learn.recipe import AugmentSettings
from spinecare.settings import PrepareSettings

if TYPE_CHECKING:
    import optuna

DEFAULT = "default"
DEFAULT_FILE = Path(__file__).parent / "search.toml"


@dataclass(frozen=True)
class Range:
    """A number between two, both allowed; whole where both are whole. `log`: drawn evenly in the logarithm."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """One of several values: texts, numbers, lists of them."""

    choices: tuple[Any, ...]
    when: dict[str, Any] = field(default_factory=dict)


Options = dict[str, Any]  # option → value, Range or Choice


@dataclass(frozen=True)
class Chosen:
    """What one trial tries: everything that the search leaves open has a value here."""

    copies: int
    augment: Options
    members: dict[str, Options]
    combine: dict[str, Options]

    def augment_settings(self) -> AugmentSettings:
        """The augmentation, what is not named at its default."""
        return AugmentSettings(**self.augment)


@dataclass(frozen=True)
class SearchSettings:
    """A search.

    Parameters
    ----------
    name
        Of the search in its storage: machines that share one give the same.
    seed
        Of cuts, fits and of the sampler.
    headline
        The member or combiner whose answers are scored; only what it needs is fitted.
    objective
        A name of `tune.OBJECTIVES`.
    pruner
        "median", "hyperband" or "none": trials that are behind after a fold are given up.
    repeats, folds, inner_folds
        Grouped stratified cuts of the rows; inner ones give a combiner the answers that it learns from.
    fit_share
        Share of each fold's training part that is fitted on. On thousands of virtual patients, options for a hundred
        real scans are found by fitting on a hundred: what suits thousands does not suit them.
    copies, augment, members, combine, sources, prepare, levels
        As a study's settings name them; options may be `Range` or `Choice`, `copies` too.
    workers
        Processes that prepare pictures.
    """

    name: str = "search"
    seed: int = 0
    headline: str = "stack"
    objective: str = "auc"
    pruner: str = "median"
    repeats: int = 1
    folds: int = 5
    inner_folds: int = 5
    fit_share: float = 1.0
    copies: Any = 8
    augment: Options = field(default_factory=dict)
    members: dict[str, Options] = field(default_factory=dict)
    combine: dict[str, Options] = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    levels: str = "package"
    workers: int = 1

    def __post_init__(self) -> None:
        if self.headline not in {*self.members, *self.combine}:
            known = ", ".join([*self.members, *self.combine]) or "none at all"
            raise TrainingError(f"The headline {self.headline!r} is no member and no combiner of the search: {known}.")
        for kind, table in (("members", self.members), ("combine", self.combine)):
            for name, options in table.items():
                if not isinstance(options.get("kind"), str):
                    raise TrainingError(f"[{kind}.{name}] needs a kind of its own, which is not searched.")
        unknown = set(self.augment) - {f.name for f in fields(AugmentSettings)}
        if unknown:
            raise TrainingError(f"[augment] has no setting {sorted(unknown)[0]!r}.")
        if self.folds < 2 or self.inner_folds < 2 or self.repeats < 1:
            raise TrainingError("A search needs two folds or more, inside and outside, and one repeat.")
        for name, options in self.needed().items():
            _check_when(name, options)

    @classmethod
    def from_toml(cls, path: Path) -> SearchSettings:
        """Read a search.

        Raises
        ------
        TrainingError
            For a file that is none, or a key that a search does not have.
        """
        try:
            told = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TrainingError(f"{path} cannot be read as a search: {error}.") from error
        return cls.from_dict(told, path.parent)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], home: Path | None = None) -> SearchSettings:
        """The settings of a parsed TOML; `home` is where relative paths start. Raises as `from_toml`."""
        unknown = set(told) - {f.name for f in fields(cls)}
        if unknown:
            raise TrainingError(f"A search has no key {sorted(unknown)[0]!r}; see spinecare.learn.tune.search.")
        plain = dict(told)
        for table in ("members", "combine"):
            plain[table] = {name: _options(f"{table}.{name}", o) for name, o in plain.get(table, {}).items()}
        plain["augment"] = _options("augment", plain.get("augment", {}))
        plain["copies"] = _option("copies", plain.get("copies", cls.copies))
        try:
            paths = plain.get("sources", {})
            plain["sources"] = Sources(**{k: str((home / v).resolve()) if home else v for k, v in paths.items()})
            plain["prepare"] = PrepareSettings(**plain.get("prepare", {}))
            return cls(**plain)
        except TypeError as error:
            raise TrainingError(f"A setting of the search is not as it should be: {error}.") from error

    def needed(self) -> dict[str, Options]:
        """What the headline needs, by path: "members.svm", "combine.stack"."""
        if self.headline in self.members:
            return {f"members.{self.headline}": self.members[self.headline]}
        combiner = self.combine[self.headline]
        names = combiner.get("members", list(self.members))
        if strangers := [name for name in names if name not in self.members]:
            raise TrainingError(f"[combine.{self.headline}] names {strangers[0]!r}, which is no member of the search.")
        return {f"members.{name}": self.members[name] for name in names} | {f"combine.{self.headline}": combiner}

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain


def choose(trial: optuna.Trial, search: SearchSettings) -> Chosen:
    """A value for everything that the search leaves open, asked of Optuna under its path ("members.svm.strength")."""
    copies = _draw(trial, "copies", search.copies)
    augment = _draw_all(trial, "augment", search.augment)
    drawn = {path: _draw_all(trial, path, options) for path, options in search.needed().items()}
    by_table: dict[str, dict[str, Options]] = {"members": {}, "combine": {}}
    for path, options in drawn.items():
        table, name = path.split(".", 1)
        by_table[table][name] = options
    return Chosen(int(copies), augment, **by_table)


def open_options(search: SearchSettings) -> list[str]:
    """Paths of everything that is searched."""
    tables = {"augment": search.augment, **search.needed()}
    found = [f"{path}.{name}" for path, options in tables.items() for name, o in options.items() if _is_open(o)]
    return (["copies"] if _is_open(search.copies) else []) + found


def _is_open(option: Any) -> bool:
    return isinstance(option, Range | Choice)


def _options(where: str, told: Mapping[str, Any]) -> Options:
    if not isinstance(told, Mapping):
        raise TrainingError(f"[{where}] must be a table of options.")
    return {name: _option(f"{where}.{name}", value) for name, value in told.items()}


def _option(where: str, value: Any) -> Any:
    """A Range or Choice where the TOML has one, else the value."""
    if not isinstance(value, Mapping):
        return value
    kind = Range if {"low", "high"} <= set(value) else Choice if "choices" in value else None
    if kind is None or set(value) - {f.name for f in fields(kind)}:
        raise TrainingError(f"{where} must be a value, {{low, high[, log, step, when]}} or {{choices[, when]}}.")
    option = kind(**value)
    if isinstance(option, Choice):
        if not option.choices or not isinstance(option.choices, list):
            raise TrainingError(f"{where} has no choices.")
        return replace(option, choices=tuple(option.choices))
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (option.low, option.high))
    if not numbers or option.low > option.high or (option.log and option.low <= 0):
        raise TrainingError(f"{where} must go from a lower number to a higher one, and with log from one above 0.")
    if option.log and option.step is not None:
        raise TrainingError(f"{where} cannot have both log and step.")
    return option


def _check_when(where: str, options: Options) -> None:
    above: set[str] = set()
    for name, option in options.items():
        if _is_open(option) and (missing := set(option.when) - above):
            raise TrainingError(f"{where}.{name} depends on {sorted(missing)[0]!r}, which must stand above it.")
        above.add(name)


def _draw_all(trial: optuna.Trial, where: str, options: Options) -> Options:
    drawn: Options = {}
    for name, option in options.items():
        if _is_open(option) and any(drawn.get(key) not in _listed(value) for key, value in option.when.items()):
            continue
        value = _draw(trial, f"{where}.{name}", option)
        if not (_is_open(option) and value == DEFAULT):
            drawn[name] = value
    return drawn


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _draw(trial: optuna.Trial, path: str, option: Any) -> Any:
    if isinstance(option, Choice):
        # As JSON: a storage keeps plain values only, and a choice may be a list of views.
        return json.loads(trial.suggest_categorical(path, [json.dumps(value) for value in option.choices]))
    if not isinstance(option, Range):
        return option
    if isinstance(option.low, int) and isinstance(option.high, int):
        return trial.suggest_int(path, option.low, option.high, step=int(option.step or 1), log=option.log)
    return trial.suggest_float(path, option.low, option.high, step=option.step, log=option.log)
