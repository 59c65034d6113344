"""`bounds.md`: both bounds and the learning curve as tables, written from `bounds.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinecare.study.ablate_page import shown, table


def bounds_page(told: Mapping[str, Any]) -> str:
    """Markdown of what `bounds.bounds` wrote."""
    what = told["what"]
    bounds = [[one["name"], one["about"], *(shown(one["figures"][key]) for key in what)] for one in told["bounds"]]
    sizes = [
        [f"{size['size']:,}", str(size["draws"]), name, *(shown(model["figures"][key]) for key in what)]
        for size in told["sizes"]
        for name, model in size["models"].items()
    ]
    protocols = dict.fromkeys(one["figures"]["auc"]["protocol"] for one in told["bounds"])
    return "\n".join(
        [
            "# Bounds\n",
            "Virtual people, so these are bounds for a simulator's pictures, and as good as it is.\n",
            table(["bound", "what it is", *what.values()], bounds),
            *(f"- {protocol}" for protocol in protocols),
            "\n## By the number of people learnt from\n",
            "The mean over draws of different people, with its interval over the test people.\n",
            table(["people", "draws", "model", *what.values()], sizes),
        ]
    )
