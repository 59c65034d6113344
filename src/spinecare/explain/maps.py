"""Class maps: which parts of the picture spoke for osteoporosis, and which against.

Zhou, Khosla, Lapedriza, Oliva, Torralba, Learning deep features for discriminative localization, CVPR 2016,
doi:10.1109/CVPR.2016.319. A member's head is linear on the mean of its last map, so its logit is exactly the mean
over the map's places of what each place says: no gradients, no torch, no second look at the picture.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from spinecare.bundle.read import Bundle
from spinecare.runtime.stack import Float64
from spinecare.scan import LABELS, Float32, Label, UInt8
from spinecare.scan import Mapping as Affine

# Colours that stay apart for colour-blind eyes, of like lightness, so that neither looks stronger on grey
# (Okabe and Ito, Color universal design, 2008: vermilion and blue, made a little lighter).
TOWARDS = (240, 120, 30)
AWAY = (40, 140, 220)
# The value of a map, in units of the logit, at which its colour is at its densest. The same for every scan and member,
# so that two maps can be compared: a map that says little looks like it. Few places of any map go beyond.
FULL = 4.0
METHOD = (
    "Class activation maps: what each place of a network’s last layer said, orange for osteoporosis, blue against it, "
    "clear where it said little. A cell is a third to two thirds as high as a vertebra. "
    "For a network with a forest it is the map of the linear head beside it."
)
# A map more alike than this to those of shuffled heads is not shown.
MOST_ALIKE = 0.7
SHUFFLES = 20
# Bone must be seen through the densest colour.
DENSEST = 0.7


def class_maps(bundle: Bundle, features: Mapping[str, Float32]) -> tuple[dict[str, Float32], tuple[str, ...]]:
    """What each place of each member's last map says: the logit of osteoporosis less the mean of the other two.

    Parameters
    ----------
    features
        Member -> float32 (channels, h, w), as the members gave them (`Assessment.features`).

    Returns
    -------
    Member -> float32 (h, w), coarse: a cell of 32 x 32 pixels of the prepared picture, 16 x 16 for the VGG16. Its
    mean is the member's logit less the mean of the others. For a member with a forest these are
    the words of the linear head beside it, not of the forest.

    And the members that are left out: without a head in the bundle, or with a map that hardly depends on its head.
    """
    maps, left_out = {}, []
    for name, one in features.items():
        weight, bias = bundle.heads.get(f"{name}.weight"), bundle.heads.get(f"{name}.bias")
        if weight is None or bias is None or likeness_to_shuffled(one, weight, bias) > MOST_ALIKE:
            left_out.append(name)
        else:
            maps[name] = class_map(one, weight, bias)
    return maps, tuple(left_out)


def class_map(features: Float32, weight: Float32, bias: Float32) -> Float32:
    """One class map, float32 (h, w), from features (channels, h, w) and a head (3, channels) and (3,)."""
    yes = LABELS.index(Label.OSTEOPOROSIS)
    against = np.delete(weight, yes, axis=0).mean(axis=0)
    offset = bias[yes] - np.delete(bias, yes).mean()
    return np.asarray(np.tensordot(weight[yes] - against, features, axes=1) + offset, dtype=np.float32)


def likeness_to_shuffled(features: Float32, weight: Float32, bias: Float32) -> float:
    """How alike the map is to those of heads that mean nothing: the median |r| over `SHUFFLES` heads whose weights
    are shuffled over the channels. Near 1, the map shows where the network is active and not what speaks for
    the class: it explains nothing. Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, arXiv:1810.03292.
    """
    rng = np.random.default_rng(0)
    own = class_map(features, weight, bias).ravel()
    others = [class_map(features, rng.permuted(weight, axis=1), bias).ravel() for _ in range(SHUFFLES)]
    if min(np.ptp(own), *(np.ptp(other) for other in others)) == 0:
        return 1.0  # a map without any relief says nothing of places
    return float(np.median([abs(np.corrcoef(own, other)[0, 1]) for other in others]))


def joint_map(maps: Mapping[str, Float32], shares: Mapping[str, float], rows: int, cols: int) -> Float32:
    """The members' maps as one, float32 (rows, cols): each enlarged, times the member's share among these members."""
    joint = np.zeros((rows, cols), dtype=np.float32)
    total = sum(shares[name] for name in maps) or 1.0
    for name, map_ in maps.items():
        joint += np.float32(shares[name] / total) * enlarged(map_, rows, cols)
    return joint


def enlarged(map_: Float32, rows: int, cols: int) -> Float32:
    """A map at the size of the prepared picture: each value at the middle of its cell, linear in between."""
    return np.asarray(cv2.resize(map_, (cols, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def overlay(image_map: Float32, mapping: Affine, scan_shape: tuple[int, int], shape: tuple[int, int]) -> UInt8:
    """A map as colour to lay over the scan: orange spoke for osteoporosis, blue against, clear said nothing.

    Parameters
    ----------
    image_map
        float32 (height, width): a map at the size of the prepared picture.
    mapping
        From the scan to the prepared picture.
    scan_shape
        Rows and columns of the scan.
    shape
        Rows and columns of the overlay, which covers the whole scan; a map has no detail that needs all its pixels.

    Returns
    -------
    uint8 (*shape, 4), RGBA; alpha is 0 wherever the prepared picture does not reach.
    """
    matrix = _from_overlay(mapping, scan_shape, shape)
    size = (shape[1], shape[0])
    there = np.ones(image_map.shape, dtype=np.uint8)
    # The map goes on beyond its border, so that it does not fade there; what lies outside is cut off after.
    said = cv2.warpAffine(
        image_map, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(there, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    strength = np.minimum(np.abs(said) / FULL, 1.0) * (DENSEST * 255) * inside
    rgba = np.empty((*shape, 4), dtype=np.uint8)
    rgba[..., :3] = np.where(said[..., None] > 0, np.array(TOWARDS, np.uint8), np.array(AWAY, np.uint8))
    rgba[..., 3] = np.rint(strength)
    return rgba


def _from_overlay(mapping: Affine, scan_shape: tuple[int, int], shape: tuple[int, int]) -> Float64:
    """The affine map from (x, y) in the overlay to (x, y) in the prepared picture, float64 (2, 3)."""
    down, right = scan_shape[0] / shape[0], scan_shape[1] / shape[1]
    # Pixel centres stand at whole numbers: a pixel's middle is half a pixel in, in either picture.
    to_scan = np.array([[down, 0.0, (down - 1) / 2], [0.0, right, (right - 1) / 2], [0.0, 0.0, 1.0]])
    row_col = mapping.matrix @ to_scan
    return np.array(
        [
            [row_col[1, 1], row_col[1, 0], row_col[1, 2]],
            [row_col[0, 1], row_col[0, 0], row_col[0, 2]],
        ]
    )
