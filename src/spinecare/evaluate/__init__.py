"""Predictions in, numbers and figures out. Nothing is fitted here."""
