"""ResNet-18 (MONAI's, 2-D, one channel). In the bundle its features go to a random forest; the head stays."""

from __future__ import annotations

from monai.networks.nets.resnet import ResNet
from torch import nn

from spinecare.learn.networks.base import DeepMember
from spinecare.learn.networks.cnn import Centre


def resnet(width: int = 64, blocks: tuple[int, int, int, int] = (2, 2, 2, 2), dropout: float = 0.3) -> DeepMember:
    """He et al. 2016 (doi:10.1109/CVPR.2016.90), 18 layers at the defaults; `width` channels after the stem."""
    net = ResNet(
        "basic",
        list(blocks),
        [width, 2 * width, 4 * width, 8 * width],
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_size=7,
        conv1_t_stride=2,
        bias_downsample=False,
        feed_forward=False,
    )
    stem = nn.Sequential(Centre(), net.conv1, net.bn1, net.act, net.maxpool)
    return DeepMember([stem, net.layer1, net.layer2, net.layer3, net.layer4], 8 * width, dropout)
