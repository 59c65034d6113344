"""The interface for programs, under /api/v1."""

# For the OpenAPI document: what each group of operations is about.
TAGS = [
    {"name": "assessments", "description": "Scans that were sent, and what was answered."},
    {"name": "patients", "description": "Whom scans are filed under, by pseudonym."},
    {"name": "specialists", "description": "The clinic's directory."},
    {"name": "service", "description": "Is it up, is it ready, how much is it doing?"},
]
