"""One vertebra in three dimensions, on grids of its own that are aligned to the scan plane, and its projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.phantom import arch, centrum, rods, trabeculae
from spinecare.phantom.look import Look
from spinecare.phantom.maps import Float, Plane
from spinecare.phantom.skeleton import Vertebra
from spinecare.scan import Float32

# How much the arch's own patchiness changes its mineral, against the core's contrast.
ARCH_CONTRAST = 0.10


@dataclass(frozen=True, eq=False)
class Shadow:
    """What one vertebra casts on the plane, g/cm2 on `rows`, `cols` of it.

    rows, cols
        slices of the plane.
    body, arch, transverse
        float32: bone mineral of the body, of the arch with its facets and spinous process, of the transverse
        processes.
    thickness_cm
        float32: bone tissue, marrow included.
    own_x, own_y
        float32: own coordinates of each pixel at the depth of the body's centre, mm.
    """

    rows: slice
    cols: slice
    body: Float32
    arch: Float32
    transverse: Float32
    thickness_cm: Float32
    own_x: Float32
    own_y: Float32


@dataclass(frozen=True)
class _Window:
    # A box of the plane's pixels and their mm from the vertebra's centre.
    rows: slice
    cols: slice
    x: Float32
    y: Float32

    def paste(self, onto: Float32, part: _Window, what: Float32) -> None:
        # Adds a picture of `part` to one of this window; both lie on the plane's pixels.
        r, c = part.rows.start - self.rows.start, part.cols.start - self.cols.start
        target = onto[max(r, 0) : r + what.shape[0], max(c, 0) : c + what.shape[1]]
        target += what[max(-r, 0) :, max(-c, 0) :][: target.shape[0], : target.shape[1]]


def project(bone: Vertebra, look: Look, plane: Plane, rng: np.random.Generator) -> Shadow | None:
    """Draw one vertebra and let the beam through it.

    Parameters
    ----------
    bone
        Place and size, as it lies at this visit.
    look
        The person's proportions.
    plane
        The scan plane.
    rng
        The vertebra's own variation and its texture: the same at each visit.

    Returns
    -------
    Shadow, or None where the vertebra is off the plane.
    """
    arch_rng, body_rng, field_rng = rng.spawn(3)
    plan = arch.plan(bone, look, arch_rng)
    a = bone.axes
    groups = [plan.arch, plan.left, plan.right]
    wide = 1.15 * bone.half_width + 2
    tall = bone.half_height + 4 + abs(float(a[2, 1])) * bone.half_depth + abs(float(a[0, 1])) * wide
    body_box = np.array([[-wide, -tall], [wide, tall]])
    boxes = [body_box, *(_bounds(group, a) for group in groups)]
    # Room for what degeneration puts beside it.
    low, high = np.min([b[0, :2] for b in boxes], axis=0), np.max([b[1, :2] for b in boxes], axis=0)
    whole = _window(plane, bone.centre, np.add([low, high], [[-6], [6]]))
    if whole is None:
        return None
    shape = (len(whole.y), len(whole.x))
    body, behind, beside, thick = (np.zeros(shape, np.float32) for _ in range(4))
    layers = centrum.layers_of(bone.half_depth)
    field = trabeculae.field(layers, bone.half_height + 6, wide, look.coarse, look.upright, field_rng)
    near = _window(plane, bone.centre, body_box)
    if near is not None and len(near.x) > 1 and len(near.y) > 1:
        form = centrum.shape_of(bone, look, body_rng)
        mineral, tissue = centrum.project(form, a, near.x, near.y, field, look.contrast)
        whole.paste(body, near, mineral)
        whole.paste(thick, near, tissue)
    for group, box, onto in zip(groups, boxes[1:], (behind, beside, beside), strict=True):
        where = _window(plane, bone.centre, box)
        if where is not None:
            mineral, tissue = _rods(group, box, where, a)
            whole.paste(onto, where, mineral)
            whole.paste(thick, where, tissue)
    x, y = whole.x[None, :], whole.y[:, None]
    own_x, own_y = (np.float32(a[i, 0]) * x + np.float32(a[i, 1]) * y for i in range(2))
    behind *= _grain(field, own_x, own_y, plane.mm, a, look)
    return Shadow(whole.rows, whole.cols, body, behind, beside, thick, own_x, own_y)


def _grain(field: Float32, own_x: Float32, own_y: Float32, mm: float, axes: Float, look: Look) -> Float32:
    # The arch's cores are spongy too: one layer's pattern, mirrored beyond the body.
    to_own = np.array([[axes[i, 0] * mm, axes[i, 1] * mm, own[0, 0]] for i, own in enumerate((own_x, own_y))])
    return 1 + np.float32(ARCH_CONTRAST * look.contrast) * trabeculae.seen(field[0], to_own, own_x.shape)


def _bounds(group: list[rods.Rod], axes: Float) -> Float:
    # Lowest and highest corner (2, 3) of rods, from the vertebra's centre along the plane's axes.
    points = np.array([point for rod in group for point in (rod.start, rod.end)]) @ axes
    thick = max(max(rod.half_across, rod.half_other) for rod in group) + 1.5
    return np.stack([points.min(axis=0) - thick, points.max(axis=0) + thick])


def _window(plane: Plane, centre: Float, box: Float) -> _Window | None:
    px, py = plane.x, plane.y
    cols = slice(*(int(i) for i in np.searchsorted(px, centre[0] + box[:, 0])))
    rows = slice(*(int(i) for i in np.searchsorted(py, centre[1] + box[:, 1])))
    if cols.start >= cols.stop or rows.start >= rows.stop:
        return None
    return _Window(rows, cols, px[cols] - np.float32(centre[0]), py[rows] - np.float32(centre[1]))


def _rods(group: list[rods.Rod], bounds: Float, where: _Window, axes: Float) -> tuple[Float32, Float32]:
    z = np.arange(bounds[0, 2], bounds[1, 2] + centrum.STEP_MM, centrum.STEP_MM, dtype=np.float32)
    box = rods.Box.empty(where.x, where.y, z)
    for rod in group:
        rods.add(box, rod, axes)
    cm = np.float32(centrum.STEP_MM / 10)
    tissue = np.count_nonzero(box.density > 0.02, axis=0).astype(np.float32) * cm
    return box.density.sum(axis=0) * cm, tissue
