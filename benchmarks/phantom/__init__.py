"""What the simulator must show, measured: `python -m benchmarks.phantom` writes `docs/phantom.md`."""
