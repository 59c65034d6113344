"""What a training run is told: frozen settings, written whole into the run's config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from spinecare.errors import TrainingError
from spinecare.scan import LABELS
from spinecare.settings import PrepareSettings


@dataclass(frozen=True)
class AugmentSettings:
    """How far a training picture is varied; each is the largest change, drawn uniformly unless said.

    `shift` as a share of each side, `rotation_deg`, `scale` and `gain` relative, `gamma` in the exponent's
    logarithm, `noise` and `line_noise` standard deviations in grey (picture: [0, 1]), `blur` the largest share of a
    3x3 binomial blur, `flip` the probability of swapping left and right (vertebrae are nearly symmetric).
    """

    shift: float = 0.05
    rotation_deg: float = 5.0
    scale: float = 0.08
    gain: float = 0.08
    gamma: float = 0.12
    noise: float = 0.03
    line_noise: float = 0.015
    blur: float = 0.8
    flip: float = 0.5


@dataclass(frozen=True)
class FitSettings:
    """How one network is fitted.

    `learning_rate` at its peak (linear warm-up over `warmup` of all steps, then a half cosine to zero),
    `head_rate` times that for the head, `patience` in epochs without a better validation log loss.
    """

    epochs: int = 12
    batch: int = 32
    learning_rate: float = 1e-3
    head_rate: float = 1.0
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    warmup: float = 0.1
    patience: int = 6


@dataclass(frozen=True)
class MemberRecipe:
    """One member: its name in `learn.networks.NETWORKS`, its builder's options, its fit."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    fit: FitSettings = FitSettings()


@dataclass(frozen=True)
class ForestSettings:
    """The random forest on ResNet's features.

    Many trees with large leaves: a forest is a sum of steps, and small changes of the features (int8) move the
    answer less the more and the flatter the steps are. Its ONNX stays below 3 MB.
    """

    trees: int = 400
    max_depth: int = 7
    min_samples_leaf: int = 15


# What each member gets when nothing else is asked for.
DEFAULT_FITS: dict[str, FitSettings] = {
    "cnn": FitSettings(epochs=24, learning_rate=2e-3, patience=8),
    "resnet": FitSettings(epochs=14, learning_rate=1e-3, patience=6),
    "vgg16": FitSettings(epochs=8, batch=16, learning_rate=4e-5, head_rate=10.0, patience=4),
}


@dataclass(frozen=True)
class TrainSettings:
    """A whole run.

    Parameters
    ----------
    name
        Of the bundle.
    members
        In the order in which the stack reads them.
    folds
        K: the stack learns from out-of-fold predictions of K folds of the training part, and the members are then
        fitted on all of it. 0: the training part is cut once (`stack_share`) into a part that the members are fitted
        on and a part that the stack learns from.
    stack_strength
        Inverse ridge penalty of the stack's logistic regression.
    target_sensitivity
        The operating threshold is the highest that keeps this sensitivity on the calibration data.
    coverage
        Of the conformal prediction set.
    assumed_prevalence
        Class shares in the population that answers are for; None keeps the training part's own.
    trained_on, intended_use
        Sentences for the bundle.
    levels
        Folder of a finished level network (`learn.levels`), which then finds the spine in training as in the bundle;
        None: image processing does.
    int8
        Quantise the networks.
    check
        Run the dataset check before anything is fitted.
    bootstrap
        Resamples behind every interval.
    threads
        Of torch; part of what makes a run repeatable.
    """

    name: str = "spinecare"
    seed: int = 0
    members: tuple[MemberRecipe, ...] = tuple(
        MemberRecipe(name, {}, DEFAULT_FITS[name]) for name in ("cnn", "vgg16", "resnet")
    )
    folds: int = 5
    stack_share: float = 0.2
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    augment: AugmentSettings = AugmentSettings()
    forest: ForestSettings = ForestSettings()
    stack_strength: float = 0.05
    target_sensitivity: float = 0.85
    coverage: float = 0.9
    assumed_prevalence: dict[str, float] | None = None
    trained_on: str = ""
    intended_use: str = "Research. Not a medical device and not a diagnosis."
    levels: str | None = None
    int8: bool = True
    check: bool = True
    bootstrap: int = 2000
    threads: int = 2

    def __post_init__(self) -> None:
        if self.folds == 1 or self.folds < 0:
            raise TrainingError(f"folds={self.folds} makes no sense: give 2 or more, or 0 for one hold-out split.")
        if not self.members:
            raise TrainingError("There is no member to train. Name at least one of cnn, vgg16, resnet.")
        prior = self.assumed_prevalence
        if prior is not None and (set(prior) != set(LABELS) or abs(sum(prior.values()) - 1) > 1e-6):
            raise TrainingError(f"The assumed prevalence {prior} must name the three classes and sum to 1.")

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """One sign of progress: `done` of `total` in `stage`, and a remark."""

    stage: str
    done: int
    total: int
    remark: str = ""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """The progress that nobody watches."""
