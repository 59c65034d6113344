"""The report of an evaluation: numbers as JSON, figures as SVG, and one HTML page that stands alone.

    evaluation = evaluate_predictions(
        y_true,                     # (n,) ints in the order of LABELS: 0 normal, 1 low bone mass, 2 osteoporosis
        groups,                     # (n,) patient (or scan group) of each row, any hashable: the unit that is resampled
        {"cnn": p, ..., "stack": p},  # (n, 3) probabilities of each member and of the stack, in LABELS order
        decisions=0.31,             # osteoporosis "yes" from this p(osteoporosis) on; or {name: threshold}
        n_boot=2000, seed=0,
        prevalence=None,            # (3,) class shares of the training part, for the trivial baseline
        baselines=None,             # {"mean brightness": (n,) score or (n, 3) probabilities}
    )
    page = write_report(evaluation, out, title="...", protocol="one hold-out split by patient, 70/10/20, seed 0",
                        trained_on="virtual patients only (n=..., seed=...)", notes=("...",))

`write_report` makes `out/metrics.json`, `out/figures/*.svg` and `out/report.html`, and returns the page's path.
"""
