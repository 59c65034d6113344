"""The interface does what its OpenAPI document says: schemathesis asks every operation, well and badly."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events

from accounts import with_token
from spinecare.server.api import examples
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.actor import Role
from spinecare.store.models import AssessmentRow, PatientRow, Specialist
from spinecare.store.site import Site, open_site
from stored import FakePool, put_assessment, put_patient

# A larger run by hand: SPINECARE_CONTRACT_EXAMPLES=200.
EXAMPLES = int(os.environ.get("SPINECARE_CONTRACT_EXAMPLES", "3"))


@pytest.fixture
def full_site(tmp_path: Path) -> Iterator[Site]:
    """A site with accounts, where the ids of the document's examples exist."""
    site = open_site(SiteSettings(data=tmp_path, consumers=False), FakePool())
    key = put_assessment(site, "yes", patient=put_patient(site))
    with site.db.begin() as session:
        session.query(PatientRow).one().key = examples.PATIENT_ID
        session.query(AssessmentRow).filter_by(key=key).one().key = examples.ID
        session.add(Specialist(key=examples.SPECIALIST_ID, name="A", specialty="B", city="C", is_sample=True))
    site.queue.start()
    yield site
    site.close()


def test_every_operation_keeps_its_contract(full_site: Site) -> None:
    token = with_token(full_site, Role.ADMINISTRATOR).headers["Authorization"]
    config = schemathesis.Config.from_dict(
        {
            "headers": {"Authorization": token},
            "seed": 5,
            "continue-on-failure": True,
            "generation": {"max-examples": EXAMPLES, "database": "none"},
            # What a form's words may say (a date that is over, a number with a name) is more than a schema can.
            "operations": [
                {
                    "include-operation-id": "assess",
                    "checks": {"positive_data_acceptance": {"enabled": False}},
                }
            ],
        }
    )
    document = schemathesis.openapi.from_asgi("/openapi.json", create_app(full_site), config=config)
    found, statuses = set(), Counter[int]()
    for event in engine.from_schema(document).execute():
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            found.add(f"{event.label}: {event.value}")
        if isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished):
            recorder = event.recorder
            statuses.update(i.response.status_code for i in recorder.interactions.values() if i.response)
            failed = [check.failure_info for checks in recorder.checks.values() for check in checks]
            found |= {f"{one.failure.operation}: {one.failure}" for one in failed if one}
    assert not found, "\n\n".join(sorted(found))
    assert {200, 201, 202, 204, 400, 401, 404, 415, 422} <= set(statuses), "not much was asked"
    assert not {status for status in statuses if status >= 500}
