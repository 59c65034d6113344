"""Training on virtual patients: their cohort in both styles, and the recipes of the demo and of the shipped bundle."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spinecare.learn.recipe import (
    DEFAULT_FITS,
    AugmentSettings,
    FitSettings,
    MemberRecipe,
    Progress,
    Step,
    TrainSettings,
    silent,
)
from spinecare.phantom.balance import chance
from spinecare.phantom.cohort import GENERATOR, make_cohort
from spinecare.phantom.population import draw_people
from spinecare.scan import LABELS

IDXA_SHARE = 0.15
# People that the level network learns from.
LEVELS_PEOPLE = 4000
# Far from the seeds that people type: two styles must not draw the same person twice.
IDXA_SEED_OFFSET = 1_000_003
# The class mix that the shipped bundle's answers are for: people referred to a DXA clinic, a third of each class.
# It lies between the population from 50 on (`screening_prevalence`: about 7 % osteoporosis) and published referral
# series (women from 50 on, n = 537: 53 % osteoporosis, 38 % osteopenia, 9 % normal at any site; Nelson et al. 1998,
# J Clin Densitom 1:5-11). See docs/decisions/assumed-prevalence.md.
REFERRAL_PREVALENCE = {str(label): 1 / 3 for label in LABELS}
INTENDED_USE = (
    "Research and teaching, on AP lumbar spine DXA pictures. Not a medical device, not a diagnosis; "
    "trained on virtual patients only."
)


def make_virtual_cohort(n: int, seed: int, out: Path, workers: int, progress: Progress = silent) -> Path:
    """A balanced cohort of `n` virtual patients, 15 % of them in the iDXA style; its manifest.

    Patients that are there already are kept, so an interrupted call goes on.

    Raises
    ------
    PhantomError
        When `out` holds another cohort.
    """
    idxa = round(n * IDXA_SHARE)
    rows: list[dict[str, Any]] = []
    for style, count, its_seed in (("hologic", n - idxa, seed), ("idxa", idxa, seed + IDXA_SEED_OFFSET)):
        if not count:
            continue

        def step(done: int, total: int, style: str = style) -> None:
            progress(Step(f"virtual patients, {style}", done, total))

        manifest = make_cohort(count, its_seed, style, out / style, balance=True, workers=workers, progress=step)
        with manifest.open(newline="", encoding="utf-8") as stream:
            rows += [{**row, "path": f"{style}/{row['path']}"} for row in csv.DictReader(stream)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return out / "manifest.csv"


def screening_prevalence(people: int = 40_000) -> dict[str, float]:
    """Class shares among virtual people from 50 on, as the population comes: what a screening clinic may expect."""
    drawn = draw_people(np.random.default_rng(0), people)
    shares = chance(drawn)[drawn.age_years >= 50].mean(axis=0)
    return {str(label): float(share) for label, share in zip(LABELS, shares, strict=True)}


# A simulator's grey, grain and lines are never quite a real export's: what is trained on it sees more of a spread than
# what is trained on its own scanner. Chosen without any real diagnosis, before the first look at this generator's
# bundle: on the first generator's patients a wider spread still moved a network's answers on real pictures nearer to
# those on virtual ones, and cost a little AUC there.
VIRTUAL_AUGMENT = AugmentSettings(gain=0.12, gamma=0.25, noise=0.05, line_noise=0.025, scale=0.10)


def _fit(name: str, **changes: Any) -> FitSettings:
    return replace(DEFAULT_FITS[name], **changes)


def _vgg_options(weights: Path | None) -> dict[str, Any]:
    # The first three stages hold edges and textures of ImageNet that serve as they are, and cost the most.
    return {"weights": str(weights), "frozen": 3} if weights else {}


def default_recipe(n: int, seed: int, vgg_weights: Path | None, epochs_scale: float = 1.0) -> TrainSettings:
    """The shipped bundle's recipe: balanced virtual patients of both styles, one hold-out split.

    `epochs_scale` below 1 is for rehearsals.
    """

    def epochs(whole: int) -> int:
        return max(1, round(whole * epochs_scale))

    return TrainSettings(
        name="spinecare-virtual",
        seed=seed,
        members=(
            MemberRecipe("cnn", {}, _fit("cnn", epochs=epochs(12))),
            MemberRecipe("vgg16", _vgg_options(vgg_weights), _fit("vgg16", epochs=epochs(2))),
            MemberRecipe("resnet", {}, _fit("resnet", epochs=epochs(6))),
        ),
        augment=VIRTUAL_AUGMENT,
        folds=0,
        assumed_prevalence=REFERRAL_PREVALENCE,
        trained_on=_trained_on(n, seed),
        intended_use=INTENDED_USE,
    )


def default_levels(manifest: Path, out: Path, n: int, seed: int, epochs_scale: float, progress: Progress) -> str:
    """The shipped bundle's level network, fitted on the very people that its members are fitted on; its folder.

    Raises
    ------
    TrainingError, DatasetError
        As `levels.train_levels`.
    """
    from spinecare.io.dataset import read_manifest
    from spinecare.learn.data import with_split
    from spinecare.learn.levels import LevelsSettings, train_levels

    settings = LevelsSettings(seed=seed, trained_on=_trained_on(n, seed))
    settings = replace(settings, epochs=max(1, round(settings.epochs * epochs_scale)))
    train_levels(with_split(read_manifest(manifest), seed), out, settings, progress)
    return str(out)


def demo_recipe(n: int, seed: int, vgg_weights: Path | None) -> TrainSettings:
    """All three members in under ten minutes on two cores: a demonstration, not a model to use."""
    return TrainSettings(
        name="spinecare-demo",
        seed=seed,
        members=(
            MemberRecipe("cnn", {}, _fit("cnn", epochs=20)),
            MemberRecipe("vgg16", _vgg_options(vgg_weights), _fit("vgg16", epochs=4)),
            MemberRecipe("resnet", {}, _fit("resnet", epochs=10)),
        ),
        folds=0,
        assumed_prevalence=screening_prevalence(),
        trained_on=_trained_on(n, seed) + ", a demonstration",
        intended_use=INTENDED_USE,
    )


def _trained_on(n: int, seed: int) -> str:
    return f"virtual patients only (n={n}, seed={seed}, {GENERATOR})"
