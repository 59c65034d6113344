"""The leakage audit of a study: what else than bone could have told the classes.

RUN/
    audit/                  out-of-fold answers, one file a member: a resumed audit goes on behind the last
    audit.json, audit.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spinecare import __version__
from spinecare.learn.data import Pictures, load_pictures
from spinecare.learn.material import Material
from spinecare.learn.members.base import Member
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.study.audit_checks import aucs, duplicates, intervals, permutation_summary
from spinecare.study.audit_fits import AuditJob, cheap_members, do_audit_job, shortcuts
from spinecare.study.audit_page import markdown
from spinecare.study.engine import same_study
from spinecare.study.folds import study_folds
from spinecare.study.settings import StudySettings

SHUFFLINGS = 20
SEEN = "with the drawing: "


def audit_study(manifest: Path, settings: StudySettings, out: Path, progress: Progress = silent) -> dict[str, Any]:
    """Audit a study; its members' own answers are compared where `out` holds a finished study, else cheap members'.

    Returns
    -------
    What stands in audit.json: `duplicates`, `shortcuts`, `drawing`, `permutation`, `findings` (sentences; empty when
    nothing was found).

    Raises
    ------
    DatasetError, TrainingError
        As `study.engine.run_study`.
    """
    from spinecare.learn.level_folder import level_folder
    from spinecare.study.scans import study_pictures

    cache = out / "cache"
    pictures, notes = study_pictures(manifest, settings, cache, progress)
    levels = level_folder(settings.levels, cache)
    bare = load_pictures(
        pictures.rows, settings.prepare, cache / "prepared", settings.workers, progress, levels, more=True, masked=False
    )
    # The same scans in the same groups, whoever was refused.
    return audit_pictures(pictures, replace(bare, patients=pictures.patients), settings, out, progress, notes)


def audit_pictures(
    pictures: Pictures,
    drawn: Pictures,
    settings: StudySettings,
    out: Path,
    progress: Progress = silent,
    notes: tuple[str, ...] = (),
    shufflings: int = SHUFFLINGS,
) -> dict[str, Any]:
    """The same of prepared pictures; `drawn`: the same scans with the operator's drawing left in."""
    folder = out / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    same_study(out, settings, pictures)
    labels, groups = pictures.labels, pictures.patients
    folds = study_folds(labels, groups, settings.repeats, settings.folds, settings.inner_folds, settings.seed)
    files = [str(f) for f in pictures.rows["file"]]
    twins = duplicates(files, [str(p) for p in pictures.rows["path"]], groups, folds, progress)

    cheap, short = cheap_members(settings), shortcuts()
    said = _answers(pictures, drawn, cheap, short, settings, folder, shufflings, progress)
    told = _study_answers(out, len(labels)) or {name: said[name] for name in cheap if name not in short}
    beside = {name: said[name] for name in short}
    n_boot, seed = settings.bootstrap, settings.seed
    against = intervals(labels, groups, told | beside, n_boot, seed)
    pairs = {f"{SEEN}{name}": said[f"{SEEN}{name}"] for name in cheap} | {name: said[name] for name in cheap}
    seen = intervals(labels, groups, pairs, n_boot, seed)
    document: dict[str, Any] = {
        "schema": "spinecare.audit/1",
        "spinecare": __version__,
        "n": len(labels),
        "groups": len(np.unique(groups)),
        "protocol": f"{settings.repeats} x {settings.folds}-fold cross-validation by patient or scan group, no "
        f"augmented copies, seed {seed}; 95 % intervals by bootstrap over groups ({n_boot})",
        "notes": list(notes),
        "members_from": "the study's calibrated answers" if _study_answers(out, len(labels)) else "cheap members",
        "duplicates": twins,
        "shortcuts": {
            "about": {name: str(short[name].about) for name in short},
            "alone": {name: against[name] for name in short},
            "members": {name: against[name] for name in told},
            "member_minus_shortcut": {name: {s: against[f"{name} - {s}"] for s in short} for name in told},
        },
        "drawing": {
            name: {
                "masked": seen[name],
                "not_masked": seen[f"{SEEN}{name}"],
                "difference": seen[f"{SEEN}{name} - {name}"],
            }
            for name in cheap
        },
        "permutation": _permutation(labels, groups, said, cheap, settings, shufflings),
    }
    document["findings"] = findings(document)
    (out / "audit.md").write_text(markdown(document), encoding="utf-8")
    part = out / "audit.part"
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(out / "audit.json")
    return document


def findings(document: Mapping[str, Any]) -> list[str]:
    """What speaks against a study, in sentences; none when nothing was found."""
    twins = document["duplicates"]
    found = []
    if twins["divided"]:
        found.append(
            f"{twins['divided']} pairs of pictures of one scan are divided by a fold. Put them into one group "
            "(`spinecare dataset make`) and study again."
        )
    if twins["cuts_with_a_group_on_both_sides"]:
        found.append(f"{twins['cuts_with_a_group_on_both_sides']} cuts have a group on both sides.")
    for name, figures in document["shortcuts"]["alone"].items():
        if figures["auc"]["low"] > 0.5:
            found.append(
                f"The shortcut {name} alone tells osteoporosis from the rest: AUC {_interval(figures['auc'])}."
            )
    for member, beside in document["shortcuts"]["member_minus_shortcut"].items():
        short = [name for name, figures in beside.items() if not figures["auc"]["low"] > 0]
        if short:
            found.append(f"{member} is not shown to beat {', '.join(short)}: the difference's interval reaches 0.")
    for name, sides in document["drawing"].items():
        if sides["difference"]["auc"]["low"] > 0:
            found.append(
                f"With the drawing left in, {name} gains {_interval(sides['difference']['auc'])} in AUC: the drawing "
                "tells the class."
            )
    for name, told in document["permutation"].items():
        if not told["holds_half"]:
            found.append(f"With shuffled labels {name} has a mean AUC of {told['shuffled_mean']:.3f}: something leaks.")
    return found


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _study_answers(out: Path, n: int) -> dict[str, np.ndarray]:
    """Model → calibrated answers (repeats, n, 3) of the members and combiners of a finished study in `out`."""
    from spinecare.study.store import ANSWERS, read_answers

    if not (out / ANSWERS).is_file():
        return {}
    answers = read_answers(out)
    if len(answers.labels) != n:
        return {}
    return {name: answers.p[name] for name in answers.names if answers.kinds[name] != "baseline"}


def _answers(
    pictures: Pictures,
    drawn: Pictures,
    cheap: Mapping[str, Member],
    short: Mapping[str, Member],
    settings: StudySettings,
    folder: Path,
    shufflings: int,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Name → out-of-fold answers: of every member, of the cheap ones with the drawing, and on shuffled labels."""
    from spinecare.study.pool import each

    plain, bare = (
        _shared(one, settings, folder / kind, members, progress)
        for kind, one, members in (("masked", pictures, cheap | short), ("drawn", drawn, cheap))
    )
    fits = folder / "fits"
    fits.mkdir(exist_ok=True)

    def job(name: str, member: Member, where: tuple[Path, Mapping[str, str]], shuffle: int | None = None) -> AuditJob:
        # Labels that mean nothing need no repeats: each shuffling is one.
        repeats = settings.repeats if shuffle is None else 1
        safe = name.replace(": ", "-").replace(" ", "_")
        return AuditJob(name, member, *where, shuffle, repeats, settings.folds, settings.seed, fits / f"{safe}.npy")

    jobs = [job(name, member, plain) for name, member in (cheap | short).items()]
    jobs += [job(f"{SEEN}{name}", member, bare) for name, member in cheap.items()]
    jobs += [job(f"{name} shuffled {k}", m, plain, k) for k in range(shufflings) for name, m in cheap.items()]
    todo = [one for one in jobs if not one.target.exists()]
    progress(Step("audit", len(jobs) - len(todo), len(jobs)))
    for done, (one, _) in enumerate(each(do_audit_job, todo, settings.workers), len(jobs) - len(todo) + 1):
        progress(Step("audit", done, len(jobs), one.name))
    return {one.name: np.load(one.target, allow_pickle=False) for one in jobs}


def _shared(
    pictures: Pictures, settings: StudySettings, folder: Path, members: Mapping[str, Member], progress: Progress
) -> tuple[Path, dict[str, str]]:
    """Write the pictures for the workers, and make the views that the members read."""
    from spinecare.study.pool import each
    from spinecare.study.shared import make_view_file, write_shared

    material = Material(pictures, settings.augment, 0, settings.seed, folder.parent / "views", settings.sources)
    write_shared(material, folder)
    names = sorted({view for member in members.values() for view in member.views})
    found: dict[str, str] = {}
    for name, file in each(partial(make_view_file, folder), names, settings.workers):
        found[name] = file
        progress(Step(f"audit: views ({folder.name})", len(found), len(names), name))
    return folder, found


def _permutation(
    labels: np.ndarray,
    groups: np.ndarray,
    said: Mapping[str, np.ndarray],
    cheap: Mapping[str, Member],
    settings: StudySettings,
    shufflings: int,
) -> dict[str, Any]:
    from spinecare.study.claims_pictures import shuffled_labels
    from spinecare.study.folds import seed_of

    ones = np.ones(len(labels))
    dealt = [shuffled_labels(labels, groups, seed_of(settings.seed, "permutation", k)) for k in range(shufflings)]
    return {
        name: permutation_summary(
            float(aucs(labels, said[name], ones)["auc"]),
            [float(aucs(dealt[k], said[f"{name} shuffled {k}"], ones)["auc"]) for k in range(shufflings)],
        )
        for name in cheap
    }
