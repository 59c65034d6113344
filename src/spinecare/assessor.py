"""The whole way of a scan, in one readable function."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from spinecare.bundle.read import Bundle, open_bundle
from spinecare.clinical.rules import warnings
from spinecare.errors import AssessmentError, SpineCareError
from spinecare.io.read import read_scan, read_scan_bytes
from spinecare.measure import measure
from spinecare.prepare.network import locator
from spinecare.prepare.pipeline import find_levels, prepare
from spinecare.quality.checks import check, refuse
from spinecare.quality.gate import gate
from spinecare.runtime.predict import predict
from spinecare.scan import Assessment, ModelInfo, Refused, Scan
from spinecare.settings import RuntimeSettings

log = logging.getLogger(__name__)


def load(bundle: str | Path | None = None, settings: RuntimeSettings | None = None) -> Assessor:
    """An assessor with a model bundle: the one in the package, or the one in the folder `bundle`.

    Raises
    ------
    BundleError
        When the bundle is missing, changed, damaged, or asks for what this version cannot do.
    """
    return Assessor(open_bundle(bundle, settings))


class Assessor:
    """Answers scans with one open model bundle. Safe to share between threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.locate = locator(bundle.levels)
        self.model = ModelInfo(
            name=bundle.spec.name,
            version=bundle.spec.version,
            sha256=bundle.sha256,
            trained_on=bundle.spec.trained_on,
        )

    def assess(self, x: str | Path | bytes | Scan, name: str | None = None) -> Assessment | Refused:
        """Assess one scan.

        Parameters
        ----------
        x
            A path, the bytes of a file, or a scan that was read before.
        name
            What to call bytes in sentences; `upload` when None.

        Returns
        -------
        The answer, or why a readable picture gets none.

        Raises
        ------
        ScanError
            When the file cannot be read as a scan.
        AssessmentError
            When a step failed inside: no label is given.
        """
        clock = _Clock()
        with clock.step("read"):
            scan = _read(x, name)
        with clock.step("find_levels"):
            found = find_levels(scan, self.locate)
        with clock.step("gate"):
            refused = gate(scan, found)
        if refused is not None:
            return _with_source(refused, scan)
        with clock.step("prepare"):
            prepared = prepare(scan, self.bundle.spec.prepare, found)
        if isinstance(prepared, Refused):
            return _with_source(prepared, scan)
        with clock.step("checks"):
            checks = check(prepared)
            refused = refuse(checks)
        if refused is not None:
            return _with_source(refused, scan)
        with clock.step("measure"):
            measurements = measure(prepared, scan.spacing_mm)
        with clock.step("predict"):
            prediction = predict(self.bundle, prepared, measurements, scan.patient)
        with clock.step("clinical"):
            sentences = warnings(scan.patient, scan, prepared.levels, self.bundle.spec, prepared.notes)
        return Assessment(
            source=scan.source,
            patient=scan.patient,
            osteoporosis=prediction.osteoporosis,
            category=prediction.category,
            prediction_set=prediction.prediction_set,
            probabilities=prediction.probabilities,
            interval=None,
            abstained=prediction.abstained,
            levels=prepared.levels,
            members=prediction.members,
            quality=checks,
            measurements=measurements,
            model=self.model,
            warnings=sentences,
            threshold=self.bundle.spec.threshold,
            prevalence=self.bundle.spec.prevalence,
            assumed_prevalence=self.bundle.spec.assumed_prevalence,
            acquired=scan.acquired,
            device=scan.device,
            prepared=prepared,
            timings_ms=clock.milliseconds,
            features=prediction.features,
        )


class _Clock:
    """Times the steps, and turns what nobody expected into an error that names its step."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        except SpineCareError:
            raise
        except Exception as error:
            # The closed end of the way: whatever broke, there is no label.
            raise AssessmentError(
                f"The step {name.replace('_', ' ')!r} failed on this scan ({type(error).__name__}: {error}).",
                "No label is given. Please report it with the file, if it may be shared.",
            ) from error
        self.milliseconds[name] = (time.perf_counter() - start) * 1e3


def _read(x: str | Path | bytes | Scan, name: str | None) -> Scan:
    if isinstance(x, Scan):
        return x
    if isinstance(x, bytes):
        return read_scan_bytes(x, name or "upload")
    return read_scan(x)


def _with_source(refused: Refused, scan: Scan) -> Refused:
    log.info("%s: refused, %s", scan.source.sha256[:12], refused.code)
    return replace(refused, source=scan.source)
