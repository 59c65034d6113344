"""The published design as its authors ran it, for its running time only: the weights are random.

A CNN, VGG16 (with its three dense layers) and ResNet-50 at 224 x 224, fp32, eager PyTorch, one after the
other; then a random forest on the ResNet's features and a logistic regression on the three stacked outputs
(scikit-learn). VGG16: Simonyan and Zisserman 2015, arXiv:1409.1556. ResNet-50: He et al. 2016,
10.1109/CVPR.2016.90 (MONAI's).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import torch
from monai.networks.nets import resnet50
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

SIZE = 224
CLASSES = 3
VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
SMALL = (32, 0, 64, 0, 128, 0)
PARTS = ("read and resize", "cnn", "vgg16", "resnet50", "random forest", "logistic regression")


def convolutions(plan: tuple[int, ...]) -> nn.Sequential:
    """3 x 3 convolutions with ReLU by number of channels; 0 halves the picture."""
    layers: list[nn.Module] = []
    channels = 3
    for width in plan:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def small_cnn() -> nn.Sequential:
    """Three convolutions with pooling and two dense layers."""
    dense = [nn.Linear(128 * 28 * 28, 128), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(128, CLASSES)]
    return nn.Sequential(convolutions(SMALL), nn.Flatten(), *dense)


def vgg16() -> nn.Sequential:
    """VGG16, configuration D, with its dense layers of 4,096."""
    return nn.Sequential(
        convolutions(VGG16),
        nn.Flatten(),
        *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(4096, CLASSES),
    )


def resnet50_features() -> nn.Module:
    """ResNet-50 up to the 2,048 averaged features; set to the paper's strides and biases (MONAI's differ)."""
    network = resnet50(spatial_dims=2, n_input_channels=3, num_classes=CLASSES, conv1_t_stride=2, bias_downsample=False)
    network.fc = nn.Identity()
    return network


def read_picture(path: Path) -> torch.Tensor:
    """A file as float32 (1, 3, 224, 224) in [0, 1], the way a training script reads it."""
    if path.suffix.lower() == ".dcm":
        data = pydicom.dcmread(path)
        picture = Image.fromarray(np.asarray(data.pixel_array, dtype=np.uint8)).convert("RGB")
    else:
        picture = Image.open(path).convert("RGB")
    small = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    return torch.from_numpy(small).permute(2, 0, 1)[None].contiguous()


class Published:
    """The networks and heads in memory, ready for one picture after another."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.cnn = small_cnn().eval()
        self.vgg16 = vgg16().eval()
        self.resnet = resnet50_features().eval()
        # Fitted on noise: a forest's time depends on the number and depth of its trees, not on what they say.
        y = np.arange(300) % CLASSES
        self.forest = RandomForestClassifier(100, random_state=seed).fit(rng.normal(size=(300, 2048)), y)
        self.stack = LogisticRegression(max_iter=500).fit(rng.random((300, 3 * CLASSES)), y)

    @torch.no_grad()
    def assess(self, path: Path) -> tuple[np.ndarray, dict[str, float]]:
        """Probabilities (3,) and milliseconds of each of `PARTS`."""
        spent: dict[str, float] = {}

        @contextmanager
        def part(name: str) -> Iterator[None]:
            start = time.perf_counter()
            yield
            spent[name] = (time.perf_counter() - start) * 1000

        with part("read and resize"):
            x = read_picture(path)
        with part("cnn"):
            first = torch.softmax(self.cnn(x), dim=1).numpy()
        with part("vgg16"):
            second = torch.softmax(self.vgg16(x), dim=1).numpy()
        with part("resnet50"):
            features = self.resnet(x).numpy()
        with part("random forest"):
            third = self.forest.predict_proba(features)
        with part("logistic regression"):
            answer = self.stack.predict_proba(np.concatenate([first, second, third], axis=1))[0]
        return answer, spent
