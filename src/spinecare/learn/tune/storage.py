"""Where a search lives, and what draws and gives up its trials."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spinecare.errors import TrainingError
from spinecare.learn.tune.folds import OBJECTIVES, without
from spinecare.learn.tune.search import SearchSettings

if TYPE_CHECKING:
    import optuna

# A machine that has not been heard of for so long is gone, and its trial with it.
HEARTBEAT_SECONDS, GRACE_SECONDS = 30, 120
# Trials that are finished before any is given up: a median of fewer says little.
BEFORE_PRUNING = 5


def open_search(url: str, search: SearchSettings, data: dict[str, Any]) -> optuna.Study:
    """The search in its storage, made when it is not there."""

    from spinecare.learn.tune.sampler import Seeded

    # Several processes write: each waits for the others' transaction instead of failing at once.
    engine = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    study = _created(
        url,
        engine,
        study_name=search.name,
        sampler=Seeded(search.seed),
        pruner=_pruner(search),
        direction="maximize" if OBJECTIVES[search.objective][1] else "minimize",
        load_if_exists=True,
    )
    asked = json.loads(json.dumps({"search": identity(search), "data": data}))
    there = study.user_attrs.get("asked")
    if there is not None and there != asked:
        raise TrainingError(
            f"The storage holds another search of the name {search.name!r}. Give this one another name, or the same "
            "settings and data."
        )
    study.set_user_attr("asked", asked)
    return study


def _created(url: str, engine: dict[str, Any], **told: Any) -> optuna.Study:
    import optuna
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    shown = url.split("@")[-1]  # without the password
    for last in (False, False, True):
        try:
            storage = optuna.storages.RDBStorage(
                url, engine, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS
            )
            return optuna.create_study(storage=storage, **told)
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            # Two that begin at once both find no tables, and the one that is late in making them fails.
            if last:
                raise TrainingError(f"The storage {shown} cannot be used: {error}.") from error
            time.sleep(2)
        except (ImportError, ValueError, SQLAlchemyError) as error:
            raise TrainingError(f"The storage {shown} cannot be used: {error}.") from error
    raise AssertionError


def _pruner(search: SearchSettings) -> optuna.pruners.BasePruner:
    import optuna

    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=1)
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=search.repeats * search.folds)
    if search.pruner == "none":
        return optuna.pruners.NopPruner()
    raise TrainingError(f"There is no pruner {search.pruner!r}. Choose median, hyperband or none.")


def identity(search: SearchSettings) -> dict[str, Any]:
    """What makes it the same search: not the folders, which differ from machine to machine, nor the processes."""
    return without(search.to_json(), "workers", "sources", "levels")


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its own log lines, and without its warnings that heartbeats are new."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
