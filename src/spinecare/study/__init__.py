"""Whole studies: nested cross-validation of members and combiners, the published claims, audits and reports."""
