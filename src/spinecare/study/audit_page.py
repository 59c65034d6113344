"""audit.md: the audit as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def markdown(document: Mapping[str, Any]) -> str:
    """The page."""
    twins = document["duplicates"]
    lines = [
        "# Leakage audit",
        "",
        f"n = {document['n']} scans of {document['groups']} groups. {document['protocol']}.",
    ]
    lines += [f"- {note}" for note in document["notes"]]
    lines += ["", "## Findings", ""]
    lines += [f"- {one}" for one in document["findings"]] or ["- None."]
    lines += [
        "",
        "## Pictures of one scan",
        "",
        f"{len(twins['pairs'])} pairs of identical or near-identical pictures, {twins['apart']} of them held "
        f"together by no group; {twins['divided']} are divided by one of {twins['cuts']} outer and inner cuts, and "
        f"{twins['cuts_with_a_group_on_both_sides']} cuts have a group on both sides.",
        "",
    ]
    if twins["pairs"]:
        lines += ["| picture | picture | how alike | in one group | cuts that divide them |", "|---|---|---|---|---|"]
        lines += [
            f"| {one['first']} | {one['second']} | {one['kind']} ({one['similarity']:.3f}) | "
            f"{'no' if one['apart'] else 'yes'} | {one['divided_by']} |"
            for one in twins["pairs"]
        ]
    short = document["shortcuts"]
    lines += ["", "## Shortcuts", "", f"Members: {document['members_from']}.", ""]
    lines += ["| alone | what | AUC, osteoporosis/rest | AUC, normal/osteoporosis |", "|---|---|---|---|"]
    lines += [f"| {name} | {short['about'][name]} | {_both(figures)} |" for name, figures in short["alone"].items()]
    lines += [
        "",
        "| member | AUC, osteoporosis/rest | " + " | ".join(f"minus {name}" for name in short["alone"]) + " |",
    ]
    lines += ["|---" * (2 + len(short["alone"])) + "|"]
    for name, beside in short["member_minus_shortcut"].items():
        cells = [_one(short["members"][name]["auc"]), *[_one(figures["auc"]) for figures in beside.values()]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "## The operator's drawing",
        "",
        "AUC, osteoporosis/rest, with the drawing taken off and left in.",
        "",
    ]
    lines += ["| member | taken off | left in | difference |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {_one(s['masked']['auc'])} | {_one(s['not_masked']['auc'])} | {_one(s['difference']['auc'])} |"
        for name, s in document["drawing"].items()
    ]
    lines += ["", "## Shuffled labels", "", "AUC, osteoporosis/rest, labels dealt out anew among the groups.", ""]
    lines += ["| member | own labels | shuffled: mean [least, largest] | shufflings | p |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {s['auc']:.3f} | {s['shuffled_mean']:.3f} [{s['shuffled_low']:.3f}, {s['shuffled_high']:.3f}] | "
        f"{s['shufflings']} | {s['p']:.3f} |"
        for name, s in document["permutation"].items()
    ]
    return "\n".join(lines) + "\n"


def _one(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _both(figures: Mapping[str, Any]) -> str:
    return f"{_one(figures['auc'])} | {_one(figures['auc_normal_vs_osteoporosis'])}"
