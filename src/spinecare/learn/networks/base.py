"""What every deep member is: stages of convolutions, global average pooling, one linear head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinecare.scan import LABELS


class DeepMember(nn.Module):
    """Stages → features → global average → dropout → linear head.

    Parameters
    ----------
    stages
        The convolutional network in pieces, first layer first; together they take an image,
        float32 (n, 1, height, width) in [0, 1], to the features, (n, channels, h, w).
    channels
        Channels of the last stage.
    dropout
        Share of pooled features dropped in training.
    frozen
        The first so many stages keep their weights and cost no backward pass.
    """

    def __init__(self, stages: Sequence[nn.Module], channels: int, dropout: float, frozen: int = 0) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, len(LABELS))
        self.frozen = frozen
        for stage in self.stages[:frozen]:
            stage.requires_grad_(False)

    def features(self, image: Tensor) -> Tensor:
        """The last map before global average pooling, (n, channels, h, w)."""
        x = image
        for i, stage in enumerate(self.stages):
            if i < self.frozen:
                with torch.no_grad():
                    x = stage(x)
            else:
                x = stage(x)
        return x

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (n, 1, height, width) in [0, 1] → logits (n, 3), features (n, channels, h, w)."""
        features = self.features(image)
        return self.head(self.dropout(features.mean(dim=(2, 3)))), features
