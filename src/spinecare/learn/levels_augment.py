"""Training pictures of the level network varied, with the truth beside them moved the same way.

Virtual ribs, pelvises and discs are more alike than real ones, and a network counts by whatever is alike. So what lies
beside the spine, above L1 and below L4 is made darker, brighter or blurred by chance, each by itself; and grey is
changed as windows, filters and noise change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# What real spines have on average over virtual ones, by place in levels (0 the top of L1, 4 the bottom of L4): width of
# the column, grey beside it, grey of L5. Ratios of means over the even groups of spine_dxa and virtual patients; no
# label was used.
WIDTHS = ((-1.0, 1.0), (0.5, 1.03), (1.5, 1.02), (2.5, 1.0), (3.5, 0.96), (4.3, 1.08), (5.0, 1.10), (6.0, 1.10))
BESIDE = ((-1.5, 1.3), (0.5, 1.25), (1.5, 1.05), (2.5, 1.0), (6.0, 1.0))
BELOW_GAIN = 1.13
REACH = 2.6  # half widths of the spine: further out it never grows
ABOVE, BELOW = 5, 6  # classes of the spine above L1, and of L5 and the sacrum


@dataclass(frozen=True)
class LevelsAugment:
    """How far a picture is varied.

    Shares of the picture's side: `shift` (SD), `sway` (of the spine to the sides, largest), `warp` (SD of an elastic
    field). `zoom_rows` (a fifth of it outward), `zoom_cols` and `rotation_deg`: largest. `surround`, `end`, `bone`: SD
    of the logarithm of the gain of soft tissue with ribs and pelvis, of the spine's ends, and of all bone in patches.
    `gamma`: SD of the exponent's logarithm; `window`: SD of black level and gain. `blur`, `noise`, `grain`, `streaks`:
    largest. `wash`, `frame`, `cover`, `mirror`: probability that what lies beside the spine is washed out at one end,
    of a bright frame, of a covered patch, and of left for right. `taper`, `taper_below`: SD of the logarithm of the
    spine's width from level to level, and below L4; `growth`: how much levels grow downwards, as a share of their
    height over half the picture; `real`: how much of what real spines differ by on average (`WIDTHS` and the like) is
    made up for.
    """

    shift: float = 0.06
    zoom_rows: float = 0.2
    zoom_cols: float = 0.15
    rotation_deg: float = 4.0
    sway: float = 0.04
    warp: float = 0.008
    surround: float = 0.3
    end: float = 0.25
    bone: float = 0.15
    gamma: float = 0.25
    blur: float = 1.0
    noise: float = 0.05
    grain: float = 0.09
    streaks: float = 0.05
    frame: float = 0.15
    cover: float = 0.2
    wash: float = 0.25
    window: float = 0.12
    mirror: float = 0.5
    taper: float = 0.06
    taper_below: float = 0.10
    growth: float = 0.06
    real: float = 1.0


@dataclass(frozen=True)
class Batch:
    """Pictures float32 (n, 1, rows, cols) in [0, 1] and their classes int64 (n, rows, cols)."""

    images: Tensor
    parts: Tensor


def augment(images: Tensor, parts: Tensor, size: tuple[int, int], how: LevelsAugment, seed: Tensor) -> Batch:
    """A batch varied, each picture by its own draw, at the network's size.

    Parameters
    ----------
    images, parts
        uint8 (n, rows, cols): grey, and classes 0-6.
    size
        Rows and columns that the network takes.
    seed
        int64 (): decides every draw.
    """
    draw = _Draw(len(images), torch.Generator().manual_seed(int(seed)))
    spine = _Spine.of(parts)
    grid = _shape(_grid(draw, size, how), spine, draw, how)
    grey = functional.grid_sample(images[:, None].float() / 255.0, grid, padding_mode="border", align_corners=False)
    moved = functional.grid_sample(
        parts[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    grey = _shade(grey, moved, spine.level(grid[..., 1])[:, None], draw, how)
    return Batch(_degrade(grey, draw, how), moved[:, 0].long())


class _Draw:
    """Draws for a batch of n."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n = n
        self.generator = generator

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.n, *shape, generator=self.generator)

    def chance(self, p: float, *shape: int) -> Tensor:
        return (self.uniform(*shape) < p).float()

    def field(self, coarse: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Smooth random fields (n, 1, rows, cols), about N(0, 1) at the knots."""
        return functional.interpolate(self.normal(1, *coarse), size=list(size), mode="bilinear", align_corners=True)


def _grid(draw: _Draw, size: tuple[int, int], how: LevelsAugment) -> Tensor:
    """Where each pixel is taken from, (n, rows, cols, 2) as `grid_sample` counts: x and y from -1 to 1."""
    rows, cols = size
    y, x = torch.meshgrid(
        (torch.arange(rows) + 0.5) / rows * 2 - 1, (torch.arange(cols) + 0.5) / cols * 2 - 1, indexing="ij"
    )
    x, y = x[None], y[None]
    angle = (draw.uniform(1, 1) * 2 - 1) * math.radians(how.rotation_deg)
    mirror = 1 - 2 * draw.chance(how.mirror, 1, 1)
    zoom_x = torch.exp((draw.uniform(1, 1) * 2 - 1) * how.zoom_cols)
    # Mostly nearer, hardly ever further off: beyond the picture's edges nothing is known.
    zoom_y = torch.exp((0.2 - 1.2 * draw.uniform(1, 1)) * how.zoom_rows)
    slack = (1 - zoom_y).clamp_min(0) + how.shift
    phase, waves = draw.uniform(1, 1) * 2 * math.pi, 0.5 + draw.uniform(1, 1)
    sway = 2 * how.sway * draw.uniform(1, 1) * torch.sin(math.pi * waves * y + phase)
    from_x = mirror * zoom_x * (torch.cos(angle) * x - torch.sin(angle) * y) + sway
    from_y = zoom_y * (torch.sin(angle) * x + torch.cos(angle) * y)
    from_x = from_x + 2 * how.shift * draw.normal(1, 1) + 2 * how.warp * draw.field((7, 6), size)[:, 0]
    from_y = (
        from_y
        + torch.minimum(torch.maximum(2 * how.shift * draw.normal(1, 1), -slack), slack)
        + 2 * how.warp * draw.field((7, 4), size)[:, 0]
    )
    return torch.stack([from_x, from_y], dim=-1)


@dataclass(frozen=True)
class _Spine:
    """Where the spine lies, as `grid_sample` counts (-1 to 1): (n, 1, 1) each.

    `top` of L1, `bottom` of L4, the `middle` column of L1-L4 and `half` their mean width.
    """

    top: Tensor
    bottom: Tensor
    middle: Tensor
    half: Tensor

    @staticmethod
    def of(parts: Tensor) -> _Spine:
        n, rows, cols = parts.shape
        lumbar = ((parts >= 1) & (parts <= 4)).float()
        area, height = lumbar.sum((1, 2)).clamp_min(1.0), lumbar.amax(2).sum(1).clamp_min(1.0)
        x = (torch.arange(cols) + 0.5) / cols * 2 - 1
        y = (torch.arange(rows) + 0.5) / rows * 2 - 1
        first = torch.where(parts.eq(1).any(2), y, 1.0).amin(1)
        last = torch.where(parts.eq(4).any(2), y, -1.0).amax(1)
        bottom = torch.maximum(last, first + 0.2)
        every = (first, bottom, (lumbar.sum(1) * x).sum(1) / area, area / height / cols)
        return _Spine(*(value.view(n, 1, 1) for value in every))

    def level(self, y: Tensor) -> Tensor:
        """Rows in levels: 0 at the top of L1, 4 at the bottom of L4."""
        return (y - self.top) / (self.bottom - self.top) * 4


def _shape(grid: Tensor, spine: _Spine, draw: _Draw, how: LevelsAugment) -> Tensor:
    """The spine wider or narrower and taller or lower from level to level; what lies further out stays.

    Beyond `REACH` half widths nothing moves to the sides; between, the picture is stretched or squeezed.
    """
    x, y = grid[..., 0], grid[..., 1]
    y = y - how.growth / 2 * y**2
    level = spine.level(y)
    wider = how.taper * draw.field((8, 1), (grid.shape[1], grid.shape[2]))[:, 0]
    wider = wider + how.taper_below * draw.normal(1, 1) * torch.sigmoid((level - 4) / 0.15)
    wider = torch.exp(wider + how.real * torch.log(_between(level, WIDTHS))).clamp(0.6, 1.7)
    away = (x - spine.middle).abs() / spine.half
    edge = 1.2
    between = edge + (away - edge * wider) * (REACH - edge) / (REACH - edge * wider)
    moved = torch.where(away < edge * wider, away / wider, torch.where(away < REACH, between, away))
    return torch.stack([spine.middle + (x - spine.middle).sign() * moved * spine.half, y], dim=-1)


def _between(at: Tensor, knots: tuple[tuple[float, float], ...]) -> Tensor:
    """Linear interpolation between knots (place, value), constant beyond them."""
    place, value = (torch.tensor(column) for column in zip(*knots, strict=True))
    inside = at.clamp(float(place[0]), float(place[-1]))
    k = torch.bucketize(inside.contiguous(), place[1:-1])
    share = (inside - place[k]) / (place[k + 1] - place[k])
    return value[k] + share * (value[k + 1] - value[k])


def _soft(mask: Tensor, reach: int = 5) -> Tensor:
    # One way after the other: a square window at once costs its whole area.
    down = functional.avg_pool2d(mask.float(), (reach, 1), 1, (reach // 2, 0), count_include_pad=False)
    return functional.avg_pool2d(down, (1, reach), 1, (0, reach // 2), count_include_pad=False)


def _blurred(grey: Tensor, reach: int) -> Tensor:
    """Nearly a Gaussian blur: two box filters of `reach` pixels."""
    return _soft(_soft(grey, reach), reach)


def _shade(grey: Tensor, parts: Tensor, level: Tensor, draw: _Draw, how: LevelsAugment) -> Tensor:
    """Gains of the regions: beside the spine, above L1, below L4, and bone in patches."""
    size = (grey.shape[2], grey.shape[3])
    beside, above, below = (_soft(parts == which) for which in (0, ABOVE, BELOW))
    # Beside the spine: patchy, and in some pictures ribs and crests are washed out or gone.
    flat = torch.lerp(grey, _blurred(grey, 17), draw.chance(how.wash, 1, 1, 1) * draw.uniform(1, 1, 1))
    rows = torch.linspace(0, 1, size[0]).view(1, 1, -1, 1)
    edge = 0.05 + 0.4 * draw.uniform(1, 1, 1)
    upper = (rows < edge).float() * draw.chance(how.wash, 1, 1, 1)
    lower = (rows > 1 - edge).float() * draw.chance(how.wash, 1, 1, 1)
    wash = _soft((upper + lower).clamp(0, 1), 9) * beside
    low = torch.quantile(grey.flatten(1)[:, ::7], 0.15, dim=1).view(-1, 1, 1, 1)
    flat = torch.lerp(flat, torch.minimum(flat, low + 0.3 * (flat - low)), wash)
    gain_beside = torch.exp(how.surround * draw.normal(1, 1, 1) + 0.7 * how.surround * draw.field((4, 4), size))
    gain_beside = gain_beside * _between(level, BESIDE) ** how.real
    gain_bone = torch.exp(how.bone * draw.field((6, 3), size))
    gain_above = torch.exp(how.end * draw.normal(1, 1, 1))
    gain_below = torch.exp(how.end * (draw.normal(1, 1, 1) + 0.7 * draw.field((5, 3), size)))
    shaded = torch.lerp(grey * gain_bone, flat * gain_beside, beside)
    gain_below = gain_below * BELOW_GAIN**how.real
    return shaded * (1 + above * (gain_above - 1) + below * (gain_below - 1))


def _degrade(grey: Tensor, draw: _Draw, how: LevelsAugment) -> Tensor:
    """Window, gamma, blur, noise, streaks along the lines, a bright frame, a covered patch."""
    rows, cols = grey.shape[2], grey.shape[3]
    black = how.window * draw.normal(1, 1, 1).clamp(-2, 2)
    white = torch.exp(how.window * draw.normal(1, 1, 1))
    grey = ((grey - black) * white).clamp(0, 1.2) ** torch.exp(how.gamma * draw.normal(1, 1, 1))
    grey = torch.lerp(grey, _blurred(grey, 3), draw.uniform(1, 1, 1) * how.blur)
    grain = _soft(draw.normal(1, rows, cols), 3) * 2.0
    streaks = functional.avg_pool2d(draw.normal(1, rows, cols), (1, 9), stride=1, padding=(0, 4)) * 3.0
    grey = grey + how.noise * draw.uniform(1, 1, 1) * draw.normal(1, rows, cols)
    grey = grey + how.grain * draw.uniform(1, 1, 1) ** 2 * grain
    grey = grey + how.streaks * draw.chance(0.3, 1, 1, 1) * draw.uniform(1, 1, 1) * streaks
    r = torch.arange(rows).view(1, 1, -1, 1) / rows
    c = torch.arange(cols).view(1, 1, 1, -1) / cols
    top, left = draw.uniform(1, 1, 1), draw.uniform(1, 1, 1)
    covered = (
        ((r - top).abs() < 0.02 + 0.08 * draw.uniform(1, 1, 1))
        & ((c - left).abs() < 0.02 + 0.12 * draw.uniform(1, 1, 1))
    ).float() * draw.chance(how.cover, 1, 1, 1)
    grey = torch.lerp(grey, draw.uniform(1, 1, 1).expand_as(grey), covered)
    for at in (0, -1):
        grey[:, :, at, :] = torch.lerp(grey[:, :, at, :], torch.tensor(0.9), draw.chance(how.frame, 1, 1))
        grey[:, :, :, at] = torch.lerp(grey[:, :, :, at], torch.tensor(0.9), draw.chance(how.frame, 1, 1))
    return grey.clamp(0.0, 1.0)
