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

ABOVE, BELOW = 5, 6  # classes of the spine above L1, and of L5 and the sacrum


@dataclass(frozen=True)
class LevelsAugment:
    """How far a picture is varied.

    Shares of the picture's side: `shift` (SD), `sway` (of the spine to the sides, largest), `warp` (SD of an elastic
    field). `zoom_rows`, `zoom_cols` and `rotation_deg`: largest. `surround`, `end`, `bone`: SD of the logarithm of the
    gain of soft tissue with ribs and pelvis, of the spine's ends, and of all bone in patches. `gamma`: SD of the
    exponent's logarithm; `window`: SD of black level and gain. `blur`, `noise`, `grain`, `streaks`: largest. `wash`,
    `frame`, `cover`, `mirror`: probability that what lies beside the spine is washed out at one end, of a bright frame,
    of a covered patch, and of left for right.
    """

    shift: float = 0.06
    zoom_rows: float = 0.2
    zoom_cols: float = 0.15
    rotation_deg: float = 4.0
    sway: float = 0.04
    warp: float = 0.008
    surround: float = 0.45
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
    window: float = 0.15
    mirror: float = 0.5


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
    grid = _grid(draw, size, how)
    grey = functional.grid_sample(images[:, None].float() / 255.0, grid, padding_mode="border", align_corners=False)
    moved = functional.grid_sample(
        parts[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    grey = _shade(grey, moved, draw, how)
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
    zoom_y = torch.exp((draw.uniform(1, 1) * 2 - 1) * how.zoom_rows)
    phase, waves = draw.uniform(1, 1) * 2 * math.pi, 0.5 + draw.uniform(1, 1)
    sway = 2 * how.sway * draw.uniform(1, 1) * torch.sin(math.pi * waves * y + phase)
    from_x = mirror * zoom_x * (torch.cos(angle) * x - torch.sin(angle) * y) + sway
    from_y = zoom_y * (torch.sin(angle) * x + torch.cos(angle) * y)
    from_x = from_x + 2 * how.shift * draw.normal(1, 1) + 2 * how.warp * draw.field((7, 6), size)[:, 0]
    from_y = from_y + 2 * how.shift * draw.normal(1, 1) + 2 * how.warp * draw.field((7, 4), size)[:, 0]
    return torch.stack([from_x, from_y], dim=-1)


def _soft(mask: Tensor, reach: int = 5) -> Tensor:
    # One way after the other: a square window at once costs its whole area.
    down = functional.avg_pool2d(mask.float(), (reach, 1), 1, (reach // 2, 0), count_include_pad=False)
    return functional.avg_pool2d(down, (1, reach), 1, (0, reach // 2), count_include_pad=False)


def _blurred(grey: Tensor, reach: int) -> Tensor:
    """Nearly a Gaussian blur: two box filters of `reach` pixels."""
    return _soft(_soft(grey, reach), reach)


def _shade(grey: Tensor, parts: Tensor, draw: _Draw, how: LevelsAugment) -> Tensor:
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
    gain_bone = torch.exp(how.bone * draw.field((6, 3), size))
    gain_above = torch.exp(how.end * draw.normal(1, 1, 1))
    gain_below = torch.exp(how.end * (draw.normal(1, 1, 1) + 0.7 * draw.field((5, 3), size)))
    shaded = torch.lerp(grey * gain_bone, flat * gain_beside, beside)
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
