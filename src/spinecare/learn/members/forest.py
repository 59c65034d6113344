"""A random forest on views, each of whose trees sees scans, not copies, drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from spinecare.learn.members.frozen import OnViews, Table, Told, spread_out
from spinecare.learn.members.options import positive


@dataclass(frozen=True, kw_only=True)
class Forest(OnViews):
    """Random forest (Breiman 2001, doi:10.1023/A:1010933404324).

    trees
        How many. Each is fitted on groups drawn with replacement and on one copy, drawn too, of each of their scans:
        a bootstrap over copies would show nearly every scan to every tree.
    leaf
        Least scans in a leaf.
    features
        Share of the columns that a split may choose from; None: the square root of their number.
    """

    trees: int = 300
    leaf: int = 3
    features: float | None = None

    what: ClassVar[str] = "random forest"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(trees=self.trees, leaf=self.leaf, features=self.features)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`."""
        # Trees care for order alone; without selection or components the columns stay as they are.
        reduce = self.reduction(table) if self.select or self.components else np.asarray
        x = reduce(table.x).astype(np.float32)
        rng = np.random.default_rng(seed)
        trees = []
        for _ in range(self.trees):
            rows = draw_groups(table.groups, table.labels, rng)
            copy = rng.integers(table.copies, size=len(rows))
            tree = DecisionTreeClassifier(
                min_samples_leaf=self.leaf,
                max_features=self.features or "sqrt",
                random_state=int(rng.integers(2**31)),
            )
            trees.append(tree.fit(x[rows, copy], table.labels[rows]))

        def told(asked: np.ndarray) -> np.ndarray:
            seen = reduce(asked).astype(np.float32)
            return np.mean([spread_out(tree.predict_proba(seen), tree.classes_) for tree in trees], axis=0)

        return told


def draw_groups(groups: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of as many groups as there are, drawn with replacement until every class is among them."""
    names, of = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(of == g) for g in range(len(names))]
    classes = len(np.unique(labels))
    while True:
        rows = np.concatenate([members[g] for g in rng.integers(len(names), size=len(names))])
        if len(np.unique(labels[rows])) == classes:
            return rows
