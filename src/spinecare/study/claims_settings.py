"""What `spinecare claims` is told: members as the publications built them, and how often the pictures are split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from spinecare.errors import TrainingError
from spinecare.learn.material import Sources
from spinecare.learn.recipe import AugmentSettings
from spinecare.settings import PrepareSettings

Shown = Literal["prepared", "whole-with-drawing"]
SHOWN: tuple[Shown, ...] = ("prepared", "whole-with-drawing")
SHARES = (0.7, 0.1, 0.2)
# Twenty times all 1,168 pictures of a training part of 139: about 1.5 minutes of one core (not idle when measured).
CNN = {"start": "none", "depth": "deep", "epochs": 20, "batch": 32}


@dataclass(frozen=True)
class Task:
    """A question put to the pictures. `positive`: the classes that count as yes; empty for all three classes."""

    name: str
    about: str
    positive: tuple[int, ...] = ()


TASKS: dict[str, Task] = {
    "three": Task("three", "three classes"),
    "yes_no": Task("yes_no", "osteoporosis against the rest", (2,)),
    "affected": Task("affected", "normal against affected (low bone mass or osteoporosis)", (1, 2)),
}


@dataclass(frozen=True)
class ClaimMember:
    """One member of the table.

    kind, options
        As in `learn.members.MEMBERS`, or "nearest" (`study.claims_members`).
    splits
        On so many of the random splits only; None: on all.
    per_task
        Fitted anew for each task. Otherwise once, on three classes, and the probabilities of the classes that
        count as yes are added up.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    splits: int | None = None
    per_task: bool = True


def published_members(cnn_splits: int = 3, imagenet: bool = True) -> dict[str, ClaimMember]:
    """The members of the published design, a classical one, and one that can do nothing but recall.

    Forest, head and SVM are hardly held back, as the publications have them: a strong ridge would hide how much of a
    training picture can be had back from a copy of it.
    """
    return {
        "cnn": ClaimMember("cnn", CNN, splits=cnn_splits, per_task=False),
        # 512 columns: the ridge of scikit-learn's default on standardised columns.
        "vgg16": ClaimMember("vgg16", {"start": "imagenet" if imagenet else "virtual", "strength": 512.0}),
        "resnet_forest": ClaimMember("resnet_forest", {"start": "virtual", "leaf": 1}),
        # The kernel width of scikit-learn's default.
        "radiomics_svm": ClaimMember("svm", {"view": "radiomics", "strength": 10.0, "gamma": 1.0}),
        "nearest": ClaimMember("nearest"),
    }


@dataclass(frozen=True)
class ClaimsSettings:
    """A whole run of `spinecare claims`.

    Parameters
    ----------
    splits
        Random splits on each side.
    copies
        Augmented copies of each picture, beside itself.
    members
        By the name in the table.
    stack
        The members that the stack joins; on the splits that all of them had.
    shown
        What the members see: the product's crop without the drawing, or the whole export with the operator's drawing in
        it, as publications feed it, squeezed to the crop's size.
    shuffled
        Run the cheap members once more on labels shuffled among the scan groups: what is above chance there, no
        picture can have told.
    levels
        Who finds L1-L4 where no operator's box does, as in `StudySettings`.
    check
        Run the dataset check before anything is fitted.
    workers
        Processes, one thread each; 1 works in this one.
    """

    seed: int = 1
    splits: int = 5
    copies: int = 11
    members: Mapping[str, ClaimMember] = field(default_factory=published_members)
    stack: tuple[str, ...] = ("cnn", "vgg16", "resnet_forest")
    shown: Shown = "prepared"
    shuffled: bool = True
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    levels: str = "package"
    sources: Sources = field(default_factory=Sources)
    check: bool = True
    workers: int = 2

    def __post_init__(self) -> None:
        if self.splits < 1 or self.copies < 1 or self.workers < 1:
            raise TrainingError("Splits, copies and workers must be 1 or more.")
        if self.shown not in SHOWN:
            raise TrainingError(f"There are no pictures {self.shown!r}. Choose from {', '.join(SHOWN)}.")
        if not self.members:
            raise TrainingError("There is no member to try. Name at least one.")

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values; `workers` is left out, as it changes no number."""
        told = asdict(self)
        del told["workers"]
        return told
