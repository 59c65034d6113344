"""A few small multilayer perceptrons on principal components of views; their answers' mean."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from spinecare.learn.members.frozen import OnViews, Table, Told, spread_out
from spinecare.learn.members.options import positive


@dataclass(frozen=True, kw_only=True)
class Mlp(OnViews):
    """One hidden layer.

    hidden
        Its units.
    decay
        Ridge penalty on all weights, of one scan.
    nets
        How many, each from other starting weights.
    """

    components: int | None = 32
    hidden: int = 8
    decay: float = 10.0
    nets: int = 3

    what: ClassVar[str] = "multilayer perceptron"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(hidden=self.hidden, decay=self.decay, nets=self.nets)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`."""
        reduce = self.reduction(table)
        x = reduce(table.x).reshape(len(table.labels) * table.copies, -1)
        # Columns of length 1 together are too short for starting weights made for variance 1.
        wider = np.sqrt(x.shape[1])
        # scikit-learn counts each copy as a scan; the penalty is made stronger by as much.
        nets = fit_nets(x * wider, table.each_label, self.hidden, self.decay * table.copies, self.nets, seed)
        return lambda asked: mean_answer(nets, reduce(asked) * wider)


def fit_nets(x: np.ndarray, labels: np.ndarray, hidden: int, decay: float, nets: int, seed: int) -> list[MLPClassifier]:
    """Nets with one hidden layer of tanh units, on rows x (n, columns) of about unit variance."""
    fitted = []
    for number in range(nets):
        net = MLPClassifier(
            (hidden,), activation="tanh", solver="lbfgs", alpha=decay, max_iter=150, random_state=seed * 1_009 + number
        )
        with warnings.catch_warnings():
            # 150 steps are enough; the last digits of a penalised net are nobody's concern.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.append(net.fit(x, labels))
    return fitted


def mean_answer(nets: list[MLPClassifier], x: np.ndarray) -> np.ndarray:
    """Mean probabilities (k, 3)."""
    return np.mean([spread_out(net.predict_proba(x), net.classes_) for net in nets], axis=0)
