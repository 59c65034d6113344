"""The client: one method for each thing that a program asks of SpineCare."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx

from spinecare.client import results
from spinecare.client.problems import ApiError, UnavailableError, api_error
from spinecare.client.results import Answer, Assessed, Label, Pending, Reading, Refused, Summary, Unreadable, Verdict
from spinecare.errors import ScanError, UnreadableCode

log = logging.getLogger(__name__)

BASE = "/api/v1"
RETRIED = {429, 503}
LONGEST_PAUSE_S = 60.0
POLL_S = 1.0


class Client:
    """A connection to one SpineCare service. Safe to share between threads; close it, or use it in a `with`.

    Parameters
    ----------
    base_url
        As https://spine.clinic.example.
    token
        An API token, `sc_…`; None for a demo, which asks for none.
    timeout_s
        How long one request may take.
    retries
        How often a request is sent again when the service is busy (429, 503) or was not reached.
    transport
        What carries the requests; None for the network.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept": "application/json, application/problem+json, */*", "User-Agent": "spinecare-client"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries

    def assess(
        self,
        scan: str | Path | bytes,
        *,
        wait: bool = True,
        idempotency_key: str | None = None,
        timeout_s: float = 300.0,
        file_name: str | None = None,
        clinic_id: str | None = None,
        patient_name: str | None = None,
        birth_date: date | None = None,
        sex: Literal["F", "M"] | None = None,
        age_years: float | None = None,
        height_cm: float | None = None,
        weight_kg: float | None = None,
        acquired: date | None = None,
    ) -> Assessed | Refused | Pending:
        """Send one scan and get its answer.

        Parameters
        ----------
        scan
            A file's path, or its bytes.
        wait
            False: come back at once with `Pending` (or with the answer, when it is there already).
        idempotency_key
            A word of your choice for this upload, the same when you send it again; one is made when None, so that
            this method's own retries make nothing twice.
        timeout_s
            How long to wait for the answer in all.
        file_name
            What the file is called; the path's own name when None.
        clinic_id, patient_name, birth_date
            Whom to file it under, where the file does not say.
        sex, age_years, height_cm, weight_kg, acquired
            Of the patient at the scan, and its day. Where the file says something itself, the file counts.

        Raises
        ------
        ScanError
            When the file cannot be read as a scan; its code, reason and hint say why.
        ApiError
            When there is no answer; `UnavailableError` when it did not come in time.
        """
        deadline = time.monotonic() + timeout_s
        data = scan if isinstance(scan, bytes) else Path(scan).read_bytes()
        called = file_name or ("scan" if isinstance(scan, bytes) else Path(scan).name)
        given = {
            "clinic_id": clinic_id,
            "name": patient_name,
            "birth_date": birth_date,
            "sex": sex,
            "age_years": age_years,
            "height_cm": height_cm,
            "weight_kg": weight_kg,
            "acquired": acquired,
        }
        fields = {key: str(value) for key, value in given.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if not wait:
            headers["Prefer"] = "respond-async"
        response = self._send(
            "POST", f"{BASE}/assessments", data=fields, files={"file": (called, data)}, headers=headers
        )
        answer = self._answer_of(response)
        while wait and isinstance(answer, Pending):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    202, "Not answered yet", f"The assessment {answer.id} is still waiting.", "Ask for it later."
                )
            time.sleep(POLL_S)
            answer = self.get(answer.id)
        if isinstance(answer, Unreadable):
            raise ScanError(_code(answer.code), answer.reason, answer.hint)
        return answer

    def get(self, id: str) -> Answer:
        """One assessment, whatever it came to."""
        return results.answer(self._json("GET", f"{BASE}/assessments/{id}"))

    def list(self, **filters: str | date | None) -> Iterator[Summary]:
        """Assessments, newest first, from as many pages as are read.

        `filters`: state, outcome, category, reading, patient, batch, since, until.
        """
        query = {key: str(value) for key, value in filters.items() if value is not None}
        page = self._json("GET", f"{BASE}/assessments", params={**query, "limit": "200"})
        while True:
            yield from map(results.summary, page["items"])
            if page["next"] is None:
                return
            page = self._json("GET", page["next"])

    def readings(self, id: str) -> tuple[Reading, ...]:
        """What readers said of an assessment, oldest first."""
        return tuple(map(results.reading, self._json("GET", f"{BASE}/assessments/{id}/readings")["items"]))

    def add_reading(self, id: str, verdict: Verdict, label: Label | None = None, reason: str | None = None) -> Reading:
        """Say `agree`, `correct` (with the right `label` and a reason) or `not_usable` (with a reason)."""
        said = {"verdict": verdict, "label": label, "reason": reason}
        body = {key: value for key, value in said.items() if value is not None}
        return results.reading(self._json("POST", f"{BASE}/assessments/{id}/readings", json=body))

    def report_pdf(self, id: str) -> bytes:
        """The report, as the bytes of a PDF."""
        return self._good(self._send("GET", f"{BASE}/assessments/{id}/report.pdf")).content

    def picture(self, id: str, name: str = "scan") -> bytes:
        """A picture of the assessment, as the bytes of a PNG: `scan`, `prepared`, `map`, or one of `links.pictures`."""
        return self._good(self._send("GET", f"{BASE}/assessments/{id}/pictures/{name}.png")).content

    def delete(self, id: str) -> None:
        """Delete an assessment, and its scan when nothing else is known of that."""
        self._good(self._send("DELETE", f"{BASE}/assessments/{id}"))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _json(self, method: str, path: str, **more: Any) -> Any:
        return self._good(self._send(method, path, **more)).json()

    def _good(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        raise api_error(response)

    def _answer_of(self, response: httpx.Response) -> Answer:
        # An unreadable file is told with a 4xx or 500 and an object of its own: no problem+json.
        if response.headers.get("content-type", "").startswith("application/json"):
            body = response.json()
            if isinstance(body, dict) and body.get("schema") == "spinecare.assessment/1":
                return results.answer(body)
        raise api_error(response) if not response.is_success else _several()

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request, again where that can help: every one here may be sent twice."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response = self._http.request(method, path, **more)
            except httpx.TransportError as error:
                if last:
                    raise UnavailableError(
                        0,
                        "Not reached",
                        f"{self._http.base_url} does not answer ({type(error).__name__}).",
                        "Check the address, and that the service runs.",
                    ) from error
                pause = _backoff(attempt)
            else:
                if last or response.status_code not in RETRIED:
                    return response
                pause = _retry_after(response, attempt)
            log.info("%s %s again in %.1f s", method, path, pause)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _code(word: str) -> UnreadableCode:
    # A newer service can have codes that this client does not know.
    return UnreadableCode(word) if word in set(UnreadableCode) else UnreadableCode.DAMAGED


def _several() -> ApiError:
    return ApiError(
        200,
        "Several scans",
        "The file holds several scans (a ZIP), so there is no single answer.",
        "They were sent: find them with list().",
    )


def _backoff(attempt: int) -> float:
    return min(LONGEST_PAUSE_S, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0)


def _retry_after(response: httpx.Response, attempt: int) -> float:
    text = response.headers.get("retry-after", "")
    return min(LONGEST_PAUSE_S, float(text)) if text.isdecimal() else _backoff(attempt)
