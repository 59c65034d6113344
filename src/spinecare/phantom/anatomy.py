"""A person's spine as the beam sees it: every vertebra's shadow, scaled to the bone that `population` drew."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from spinecare.phantom import degeneration, pelvis, ribs
from spinecare.phantom import vertebra as vertebrae
from spinecare.phantom.look import Look
from spinecare.phantom.maps import Float, Plane, Projection, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import FIRST, VERTEBRAE, Skeleton, posed
from spinecare.scan import Bool, Float32

# An outline runs where bone, blurred as a scanner's, falls below this share of the level's BMD.
OUTLINE_SHARE = 0.42
OUTLINE_BLUR_MM = 1.0
# How far from the body's side an outline still follows bone (the transverse process' root), mm.
ROOT_MM = 5.0
# Ribs and pelvis cast at most this share of a level's BMD on it.
MOST_OTHERS = 0.25
# What degeneration adds beside the outlines at most, g/cm2.
MOST_OUTSIDE = 0.4
# Vertebrae above L1 and L5 have their neighbour's bone, as volumetric density differs little (QCT).
LIKE = np.array([0, 0, 0, 0, 0, 1, 2, 3, 3])
# L5's facets and pedicles lie over each other; in real pictures they are not that much brighter than L4's.
SHARE = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0.88])


def project(skeleton: Skeleton, person: People, plane: Plane, visit: Visit, rng: np.random.Generator) -> Projection:
    """Lay a person on the table and project their bones.

    Parameters
    ----------
    skeleton
        From `skeleton.build`.
    person
        One row of `People`: BMD, area and degeneration per level are met exactly, the area to a pixel.
    plane
        Where to draw; L1-L4 must lie inside.
    visit
        How they lie; the same bones and texture at each. Each visit's picture is scaled to the drawn BMD anew: what
        turning alone does to it (about 0.5 % for rolls and flexions of 2 degrees) is left out.
    rng
        Shapes and texture come from it: give the same stream at each visit.
    """
    lying = posed(skeleton, visit)
    *own, looks, rib_rng, pelvis_rng = rng.spawn(len(VERTEBRAE) + 3)
    look = Look.draw(float(person.bmd[0].mean()), float(person.texture[0]), looks)
    band = level_bands(lying.separators, plane)
    groups, spurs, thickness = _cast(lying, person, look, plane, own)
    beside, beside_cm = ribs.project_ribs(skeleton, person, plane, visit, rib_rng)
    pelvic, pelvic_cm, sacrum = pelvis.project_pelvis(skeleton, person, plane, visit, pelvis_rng)
    thickness += beside_cm + pelvic_cm
    near = _near(lying, plane)
    # First by the bands between the separators, near the column, then by the outlines found with that.
    zones = np.stack([(band == i + 1) & (near <= 0) for i in range(4)])
    rough = np.tensordot(_scales(groups, zones, person.bmd[0], None), groups, axes=1).astype(np.float32)
    rough_added = _worn(spurs, zones, person.degeneration[0], band)
    bone_level = person.bmd[0][np.clip(band - 1, 0, 3)].astype(np.float32)
    inside = _outline(rough + rough_added, bone_level, near, plane.mm)
    masks = _masks(inside, band, near, person.area[0], plane.mm)
    others = beside + pelvic
    for mask, bmd in zip(masks, person.bmd[0], strict=True):
        others[mask] *= min(1.0, MOST_OTHERS * bmd / max(float(others[mask].mean()), 1e-9))
    bone = np.tensordot(_scales(groups, masks, person.bmd[0], others), groups, axes=1).astype(np.float32) + others
    added = _worn(spurs, masks, person.degeneration[0], band)
    # Spurs that an outline leaves out are small ones.
    np.minimum(added, np.where(masks.any(axis=0), np.float32(np.inf), np.float32(MOST_OUTSIDE)), out=added)
    column = inside & ((band == 0) | (band == 5)) | masks.any(axis=0) | sacrum
    parts = np.where(band == 0, 5, np.where(band == 5, 6, 0)).astype(np.uint8) * column.astype(np.uint8)
    for i, mask in enumerate(masks):
        parts[mask] = i + 1
    return Projection(
        bone=bone,
        added=added,
        thickness_cm=thickness,
        masks=masks,
        column=column,
        parts=parts,
        separators=lying.separators,
        cobb_deg=lying.cobb_deg,
        fracture_grade=lying.fracture_grade,
        half_width_mm=np.array([vertebra.half_width for vertebra in lying.vertebrae[FIRST : FIRST + 4]]),
    )


def _cast(
    lying: Skeleton, person: People, look: Look, plane: Plane, rngs: list[np.random.Generator]
) -> tuple[Float32, Float32, Float32]:
    # Of the four groups of vertebrae that are scaled together: bone, and what degeneration adds in units of its own,
    # both (4, rows, cols); thickness in cm.
    shape = (plane.rows, plane.cols)
    groups, spurs = (np.zeros((4, *shape), np.float32) for _ in range(2))
    thickness = np.zeros(shape, np.float32)
    for k, (bone, rng) in enumerate(zip(lying.vertebrae, rngs, strict=True)):
        shapes, wear = rng.spawn(2)
        shadow = vertebrae.project(bone, look, plane, shapes)
        if shadow is None:
            continue
        at = (shadow.rows, shadow.cols)
        groups[LIKE[k]][at] += np.float32(SHARE[k]) * (shadow.body + shadow.arch + shadow.transverse)
        worn = degeneration.added(shadow, bone, float(person.degeneration[0][LIKE[k]]), wear)
        spurs[LIKE[k]][at] += worn
        thickness[at] += shadow.thickness_cm
    return groups, spurs, thickness


def level_bands(separators: Float, plane: Plane) -> npt.NDArray[np.intp]:
    """intp (rows, cols): which separators a pixel lies below: 0 above L1, 1-4 in L1-L4, 5 below L4."""
    x, y = plane.x[None, :], plane.y[:, None]
    return np.asarray(sum((y >= np.float32(a) + np.float32(b) * x).astype(np.intp) for a, b in separators))


def _near(skeleton: Skeleton, plane: Plane) -> Float32:
    # mm beyond the side of the nearest body, along the row; negative inside the column's width.
    middle = np.array([bone.centre for bone in skeleton.vertebrae])
    y = plane.y
    x = np.interp(y, middle[:, 1], middle[:, 0])
    half = np.interp(y, middle[:, 1], [bone.half_width for bone in skeleton.vertebrae])
    return np.asarray(np.abs(plane.x[None, :] - x[:, None]) - half[:, None], dtype=np.float32)


def _scales(groups: Float32, masks: Bool, target: Float, others: Float32 | None) -> Float:
    # Factors of the four groups of vertebrae with which each mask's mean is its target: what neighbours and
    # ribs cast on a level counts there.
    means = np.array([[group[mask].mean(dtype=np.float64) for group in groups] for mask in masks])
    rest = 0.0 if others is None else np.array([others[mask].mean(dtype=np.float64) for mask in masks])
    return np.asarray(np.linalg.solve(means, target - rest))


def _worn(spurs: Float32, masks: Bool, target: Float, band: npt.NDArray[np.intp]) -> Float32:
    # Degeneration with its target as each mask's mean. Factors must not be negative: where a level has less of its
    # own than its neighbour's spurs cast on it, that is taken back between its separators.
    means = np.array([[group[mask].mean(dtype=np.float64) for group in spurs] for mask in masks])
    own = 0.1 * target / np.maximum(np.diag(means), 1e-9)
    image = np.tensordot(np.maximum(nnls(means, target)[0], own), spurs, axes=1).astype(np.float32)
    reached = np.array([image[mask].mean(dtype=np.float64) for mask in masks])
    factors = target / np.maximum(reached, 1e-9)
    return np.asarray(image * np.concatenate([factors[:1], factors, factors[-1:]]).astype(np.float32)[band])


def _outline(bone: Float32, level: Float32, near: Float32, mm: float) -> Bool:
    # What an edge detector finds, closed over the discs.
    blurred = cv2.GaussianBlur(bone, (0, 0), OUTLINE_BLUR_MM / mm)
    found = ((blurred > OUTLINE_SHARE * level) & (near < ROOT_MM)).astype(np.uint8)
    # Discs and the gaps between arches are bridged along the column, not across.
    tall = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(2.4 / mm) + 1, 2 * round(4 / mm) + 1))
    padded = cv2.copyMakeBorder(found, 20, 20, 20, 20, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, tall)[20:-20, 20:-20]
    return np.asarray(closed.astype(bool) | (near < -4))


def _masks(inside: Bool, band: npt.NDArray[np.intp], near: Float32, area_cm2: Float, mm: float) -> Bool:
    # The outline moves in or out by a hair until the area is as drawn: a level set of the distance to it.
    flat = inside.astype(np.uint8)
    distance = cv2.distanceTransform(flat, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - flat, cv2.DIST_L2, 5)
    distance = cv2.GaussianBlur(distance, (0, 0), 0.6 / mm)
    distance[near > 12] = -np.inf
    masks = np.zeros((4, *inside.shape), bool)
    for i, area in enumerate(area_cm2):
        where = np.flatnonzero(band == i + 1)
        count = min(round(area * 100 / mm**2), len(where))
        order = np.argpartition(-distance.ravel()[where], count - 1)[:count]
        masks[i].ravel()[where[order]] = True
    return masks
