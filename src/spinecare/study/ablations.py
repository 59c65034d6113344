"""What each ablation runs: studies derived from one study's settings, and which answers are compared with which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

from spinecare.errors import TrainingError
from spinecare.learn.recipe import AugmentSettings
from spinecare.study.settings import (
    QUICK_KINDS,
    QUICK_VIEWS,
    CombineSettings,
    MemberSettings,
    StudySettings,
)

# A network is fitted thirty times in a study of 5 x 2 folds; more repeats of that are hours.
DEEP_REPEATS, DEEP_INNER = 1, 2
CHEAP_REPEATS, CHEAP_INNER, CHEAP_MEMBERS = 2, 3, 3
SHARES = (0.25, 0.4, 0.6, 0.8, 1.0)
# Where the settings have no member that is cheap enough to be fitted a dozen times over.
CHEAP = (
    MemberSettings("thumbnail_logistic", "logistic", {"view": "thumbnail", "components": 20}),
    MemberSettings("hog_logistic", "logistic", {"view": "hog", "components": 20}),
)
NETWORKS = ("cnn", "vgg16", "resnet_forest")


@dataclass(frozen=True)
class Plan:
    """One ablation.

    studies
        Name → settings. They share scans and folds, so that what they say can be paired.
    pairs
        Reference → what is compared with it; names are models, and "study/model" where there are several studies.
    shares
        Study → share of the training groups, of a learning curve.
    """

    about: str
    studies: dict[str, StudySettings]
    pairs: dict[str, tuple[str, ...]]
    shares: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def less(self, members: Sequence[str]) -> Plan:
        """The same without some members; pairs that name them fall away by themselves."""
        if not members:
            return self
        kept = {name: tuple(m for m in s.members if m.name not in members) for name, s in self.studies.items()}
        if not all(kept.values()):
            raise TrainingError("An ablation without any member is none. Leave fewer of them out.")
        return replace(self, studies={name: _of(s, kept[name]) for name, s in self.studies.items()})


def pretraining(settings: StudySettings) -> Plan:
    """Where a network's weights come from: nowhere, virtual patients, ImageNet; fine-tuned, and as frozen bases."""
    members, notes = [], []
    for kind in NETWORKS:
        members.append(MemberSettings(f"{kind}_none", kind, {"start": "none", "depth": "deep"}))
        if settings.sources.virtual is not None:
            members.append(MemberSettings(f"{kind}_virtual", kind, {"start": "virtual", "depth": "deep"}))
        members.append(MemberSettings(f"{kind}_virtual_frozen", kind, {"start": "virtual"}))
    if settings.sources.imagenet is not None:
        members.append(MemberSettings("vgg16_imagenet", "vgg16", {"start": "imagenet", "depth": "deep"}))
        members.append(MemberSettings("vgg16_imagenet_frozen", "vgg16", {"start": "imagenet"}))
    for what in ("virtual", "imagenet"):
        if getattr(settings.sources, what) is None:
            notes.append(f"The settings name no [sources] {what}, so nothing was fine-tuned from there.")
    starts = ("virtual", "virtual_frozen", "imagenet", "imagenet_frozen")
    pairs = {f"{kind}_none": tuple(f"{kind}_{start}" for start in starts) for kind in NETWORKS}
    pairs["vgg16_imagenet_frozen"] = ("vgg16_virtual_frozen",)
    return Plan(pretraining.__doc__ or "", {"all": _deep(settings, members)}, pairs, notes=tuple(notes))


def depth(settings: StudySettings) -> Plan:
    """How much of a network pretrained on virtual patients is fitted on the scans: its head, one stage, all stages."""
    if settings.sources.virtual is None:
        raise TrainingError("Depth needs the torch weights of a run on virtual patients: name it in [sources] virtual.")
    members, pairs = [], {}
    for kind in NETWORKS:
        members.append(MemberSettings(f"{kind}_frozen", kind, {"start": "virtual"}))
        # All stages of VGG16 take minutes a fit on a processor, and have more weights than ever a hundred scans taught.
        deeper: tuple[int | str, ...] = (1, 2) if kind == "vgg16" else (1, "all")
        members += [MemberSettings(f"{kind}_{d}", kind, {"start": "virtual", "depth": d}) for d in deeper]
        pairs[f"{kind}_frozen"] = tuple(f"{kind}_{d}" for d in deeper)
    return Plan(depth.__doc__ or "", {"all": _deep(settings, members)}, pairs)


def augmentation(settings: StudySettings) -> Plan:
    """Augmented copies or none, and each kind of change left out of them, on members that are quickly fitted."""
    base = _cheap(replace(settings, copies=settings.copies or 8))
    studies = {"all": base, "none": replace(base, copies=0)}
    for kind in fields(AugmentSettings):
        if getattr(base.augment, kind.name):
            studies[f"no_{kind.name}"] = replace(base, augment=replace(base.augment, **{kind.name: 0.0}))
    models = [member.name for member in base.members] + [joined.name for joined in base.combine]
    others = [study for study in studies if study != "all"]
    pairs = {f"all/{model}": tuple(f"{study}/{model}" for study in others) for model in models}
    note = f"{base.copies} copies of each training scan, but for `none`. A difference below 0: leaving it out costs."
    return Plan(augmentation.__doc__ or "", studies, pairs, notes=(note,))


def learning_curve(settings: StudySettings) -> Plan:
    """Fewer training scans, whole groups and class shares kept; the test parts stay the same."""
    members = tuple(m for m in settings.members if not is_deep(m))
    if not members:
        raise TrainingError("A learning curve needs members that are not fine-tuned, and the settings name none.")
    base = _of(settings, members)
    base = replace(
        base, repeats=min(base.repeats, CHEAP_REPEATS), inner_folds=min(base.inner_folds, CHEAP_INNER), train_share=1.0
    )
    shares = {f"share_{round(100 * share)}": share for share in SHARES}
    studies = {name: replace(base, train_share=share) for name, share in shares.items()}
    full, *_ = reversed(shares)
    models = [member.name for member in base.members] + [joined.name for joined in base.combine]
    pairs = {f"{full}/{model}": tuple(f"{name}/{model}" for name in shares if name != full) for model in models}
    return Plan(learning_curve.__doc__ or "", studies, pairs, shares)


ABLATIONS: dict[str, Callable[[StudySettings], Plan]] = {
    "pretraining": pretraining,
    "depth": depth,
    "augmentation": augmentation,
    "learning_curve": learning_curve,
}


def is_deep(member: MemberSettings) -> bool:
    """Whether a member's network is fitted in the study, and not only a head on a frozen one."""
    return member.kind in NETWORKS and member.options.get("depth", "frozen") != "frozen"


def _deep(settings: StudySettings, members: Sequence[MemberSettings]) -> StudySettings:
    return replace(
        _of(settings, tuple(members), combine=False),
        repeats=min(settings.repeats, DEEP_REPEATS),
        inner_folds=min(settings.inner_folds, DEEP_INNER),
    )


def _cheap(settings: StudySettings) -> StudySettings:
    """Few members on plain views, and their vote."""

    def is_cheap(member: MemberSettings) -> bool:
        view = member.options.get("view", "radiomics")
        views = {view} if isinstance(view, str) else set(view)
        return member.kind in QUICK_KINDS and views <= QUICK_VIEWS

    members = tuple(m for m in settings.members if is_cheap(m))[:CHEAP_MEMBERS] or CHEAP
    return replace(
        settings,
        members=members,
        combine=(CombineSettings("voting", "voting"),),
        headline="voting",
        repeats=min(settings.repeats, CHEAP_REPEATS),
        inner_folds=min(settings.inner_folds, CHEAP_INNER),
        train_share=1.0,
    )


def only(settings: StudySettings, names: Sequence[str]) -> StudySettings:
    """The settings with some of their members.

    Raises
    ------
    TrainingError
        For a name that is none of theirs.
    """
    known = [member.name for member in settings.members]
    if strangers := [name for name in names if name not in known]:
        raise TrainingError(f"{strangers[0]!r} is no member of the settings: {', '.join(known)}.")
    return _of(settings, tuple(member for member in settings.members if member.name in names))


def _of(settings: StudySettings, members: tuple[MemberSettings, ...], combine: bool = True) -> StudySettings:
    """The settings with other members: combiners keep those of theirs that are left, and fall away without any."""
    names = {member.name for member in members}
    kept = tuple(
        replace(joined, members=tuple(n for n in joined.members if n in names))
        for joined in settings.combine
        if combine and (not joined.members or names & set(joined.members))
    )
    models = [joined.name for joined in kept] + [member.name for member in members]
    headline = settings.headline if settings.headline in models else models[0]
    return replace(settings, members=members, combine=kept, headline=headline)
