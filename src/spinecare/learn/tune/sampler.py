"""Optuna's TPE sampler, seeded by the trial's number.

A sampler with one seed starts its stream anew with each process: a search that goes on after an interrupt, or that a
second machine joins, would draw its first trials again. Here each trial has a stream of its own, whoever runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

RANDOM_FIRST = 10


class Seeded(BaseSampler):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate and by groups of options that go together.

    After `RANDOM_FIRST` random trials; trials that others are running count as bad ones, so that nobody repeats them.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = self._new(0)

    def _new(self, number: int) -> TPESampler:
        stream = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        return TPESampler(
            n_startup_trials=RANDOM_FIRST,
            seed=stream,
            multivariate=True,
            group=True,
            constant_liar=True,
        )

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Start the stream of this trial."""
        self._inner = self._new(trial.number)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As TPE."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As TPE."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """As TPE."""
        self._inner.after_trial(study, trial, state, values)
