"""SpineCare from another program, over HTTP.

from spinecare.client import Client

with Client("https://spine.clinic.example", token="sc_…") as client:
    answer = client.assess("scan.dcm")
"""

from spinecare.client.api import Client
from spinecare.client.problems import (
    ApiError,
    BadRequestError,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
    TooManyRequestsError,
    UnavailableError,
)
from spinecare.client.results import Answer, Assessed, Interval, Pending, Reading, Refused, Summary, Unreadable

__all__ = [
    "Answer",
    "ApiError",
    "Assessed",
    "BadRequestError",
    "Client",
    "Interval",
    "NotAllowedError",
    "NotFoundError",
    "NotSignedInError",
    "Pending",
    "Reading",
    "Refused",
    "Summary",
    "TooManyRequestsError",
    "UnavailableError",
    "Unreadable",
]
