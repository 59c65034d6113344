"""What finished runs found, on one page: `python -m benchmarks.results` writes `docs/results.md`."""
