"""What a study is told: a TOML file read into frozen settings, every unknown word of it an error that names it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from spinecare.errors import TrainingError
from spinecare.learn.decide import Targets
from spinecare.learn.material import Sources
from spinecare.learn.recipe import AugmentSettings
from spinecare.settings import PrepareSettings

DEFAULT_FILE = Path(__file__).parent / "default.toml"
# Trivial models that every study scores beside its own (DESIGN 5.4); see `study.baselines`.
BASELINES = ("prevalence", "brightness", "noise", "geometry", "thumbnail")
# What --quick keeps of a study: fitted in a moment, on views that read no network.
QUICK_KINDS = ("logistic", "svm", "forest", "ordinal")
QUICK_VIEWS = {"radiomics", "thumbnail", "hog", "profile"}
QUICK_MEMBERS = 3

Calibration = Literal["temperature", "platt", "isotonic"]
_CALIBRATIONS = ("temperature", "platt", "isotonic")
T = TypeVar("T")


@dataclass(frozen=True)
class MemberSettings:
    """One member: its name in this study, its kind in `learn.members.MEMBERS`, its builder's options."""

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CombineSettings:
    """One way of joining: name, kind in `learn.combine.COMBINERS`, the members it joins (empty: all), options."""

    name: str
    kind: str
    members: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudySettings:
    """A whole study.

    Parameters
    ----------
    repeats, folds, inner_folds
        Repeated stratified k-fold by patient or group, and the folds inside each training part from whose
        out-of-fold answers combiners, calibration and thresholds learn.
    copies
        Augmented copies of each scan in a view.
    headline
        The model the study is about; it is compared with every other.
    workers
        Processes, one thread each. Not part of what a study is: it may be resumed with another number.
    bootstrap
        Resamples of groups behind every interval.
    calibration
        Of each model, on inner out-of-fold answers; isotonic only from n >= 1,000 (DESIGN 5.5).
    levels
        Who finds L1-L4: "package" (the level network of the bundle in the package), "none" (image processing), or
        the folder of a level network.
    one_per_group
        Keep only the first usable scan of each group: pictures of one group show the same scan.
    check
        Run the dataset check before anything is fitted.
    train_share
        Share of the groups of each training part that is used, for learning curves; 1 uses all.
    """

    name: str = "study"
    seed: int = 1
    repeats: int = 5
    folds: int = 5
    inner_folds: int = 5
    copies: int = 8
    headline: str = "stack"
    workers: int = 2
    bootstrap: int = 2000
    calibration: Calibration = "temperature"
    levels: str = "package"
    one_per_group: bool = False
    check: bool = True
    train_share: float = 1.0
    sources: Sources = field(default_factory=Sources)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    targets: Targets = field(default_factory=Targets)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    members: tuple[MemberSettings, ...] = ()
    combine: tuple[CombineSettings, ...] = (CombineSettings("voting", "voting"), CombineSettings("stack", "stack"))

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("folds", 2), ("inner_folds", 2), ("copies", 0), ("workers", 1),
                            ("bootstrap", 1), ("seed", 0)):  # fmt: skip
            if getattr(self, name) < least:
                raise TrainingError(f"{name} = {getattr(self, name)} makes no sense in a study: give {least} or more.")
        if not 0 < self.train_share <= 1:
            raise TrainingError(f"train_share = {self.train_share} is no share: give one above 0, at most 1.")
        if self.calibration not in _CALIBRATIONS:
            raise TrainingError(f"calibration = {self.calibration!r} is none of {', '.join(_CALIBRATIONS)}.")
        if not self.members:
            raise TrainingError("A study needs at least one member: a table [members.NAME] with a kind.")
        self._check_names()

    def _check_names(self) -> None:
        names = self.models
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise TrainingError(f"{name!r} can't name a model: use letters, digits, _ and -.")
            if names.count(name) > 1:
                raise TrainingError(f"Two models of the study are called {name!r}. Rename one (baselines keep theirs).")
        known = [member.name for member in self.members]
        for joined in self.combine:
            strange = [name for name in joined.members if name not in known]
            if strange:
                raise TrainingError(
                    f"[combine.{joined.name}] joins {strange[0]!r}; the members are {', '.join(known)}."
                )
        if self.headline not in names:
            raise TrainingError(f"headline = {self.headline!r} is no model of this study: {', '.join(names)}.")

    @property
    def models(self) -> list[str]:
        """Names of all models in the order of every table: members, combiners, baselines."""
        return [*(member.name for member in self.members), *(joined.name for joined in self.combine), *BASELINES]

    @classmethod
    def from_toml(cls, path: Path | None = None) -> StudySettings:
        """Read a study's TOML file; None: the one in the package. Paths in it are relative to its folder.

        Raises
        ------
        TrainingError
            For a file that is missing or no TOML, an unknown or wrongly filled key, or wishes that contradict.
        """
        file = path or DEFAULT_FILE
        try:
            told = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TrainingError(f"The study's settings {file} cannot be read ({error}). See docs/study.md.") from error
        except tomllib.TOMLDecodeError as error:
            raise TrainingError(f"{file} is no TOML: {error}. See docs/study.md for an example.") from error
        return cls.from_dict(told, file.parent)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], home: Path | None = None) -> StudySettings:
        """Settings from what a TOML file said; `home` is where relative paths start."""
        kept = dict(told)
        members, joined = kept.pop("members", {}), kept.pop("combine", None)
        kept["members"] = tuple(
            MemberSettings(name, _kind(name, table, "members"), _less(table, "kind"))
            for name, table in _table(members, "members").items()
        )
        if joined is not None:
            kept["combine"] = tuple(
                CombineSettings(
                    name,
                    _kind(name, table, "combine"),
                    _names(table.get("members", ()), f"combine.{name}"),
                    _less(table, "kind", "members"),
                )
                for name, table in _table(joined, "combine").items()
            )
        for part, kind in (("sources", Sources), ("augment", AugmentSettings), ("targets", Targets),
                           ("prepare", PrepareSettings)):  # fmt: skip
            kept[part] = _filled(kind, _table(kept.get(part, {}), part), f"[{part}] ")
        if home is not None:
            where = {k: str((home / v).resolve()) for k, v in vars(kept["sources"]).items() if v is not None}
            kept["sources"] = Sources(**where)
            if kept.get("levels", "none") not in {"package", "none"}:
                kept["levels"] = str((home / kept["levels"]).resolve())
        return _filled(cls, kept)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)

    def quick(self) -> StudySettings:
        """The same study cut down: 1 repeat, 3 folds inside 3 folds, 1 copy, few members, none with a network."""
        light = [m for m in self.members if m.kind in QUICK_KINDS and set(_views(m)) <= QUICK_VIEWS]
        members = tuple((light or list(self.members))[:QUICK_MEMBERS])
        names = {member.name for member in members}
        kept = tuple(
            replace(joined, members=tuple(n for n in joined.members if n in names))
            for joined in self.combine
            if not joined.members or names & set(joined.members)
        )
        headline = self.headline if self.headline in {*names, *(joined.name for joined in kept)} else members[0].name
        return replace(
            self,
            repeats=1,
            folds=3,
            inner_folds=3,
            copies=min(self.copies, 1),
            bootstrap=min(self.bootstrap, 200),
            members=members,
            combine=kept,
            headline=headline,
        )


def _views(member: MemberSettings) -> list[str]:
    view = member.options.get("view", "radiomics")
    return [view] if isinstance(view, str) else list(view)


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TrainingError(f"{name} must be a table, as [{name}] or [{name}.NAME]; it is {value!r}.")
    return dict(value)


def _kind(name: str, table: Any, where: str) -> str:
    kind = _table(table, f"{where}.{name}").get("kind")
    if not isinstance(kind, str):
        raise TrainingError(f'[{where}.{name}] has no kind. Say which, as in kind = "svm".')
    return kind


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TrainingError(f"[{where}] members must be a list of names; it is {value!r}.")
    return tuple(value)


def _less(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _filled(kind: type[T], told: Mapping[str, Any], where: str = "") -> T:
    """A settings class filled with what was told: unknown keys and values of another kind are errors."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in told.items():
        if key not in known:
            raise TrainingError(f"{where}{key} is no setting of a study. Known: {', '.join(known)}.")
        values[key] = _like(value, known[key], f"{where}{key}")
    return kind(**values)


def _like(value: Any, setting: Any, name: str) -> Any:
    default = setting.default_factory() if setting.default is MISSING else setting.default
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = str if default is None else type(default)
    # A bool is an int to Python, not to the person who wrote the file.
    if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
        raise TrainingError(f"{name} = {value!r} must be of the type {wanted.__name__}.")
    return value
