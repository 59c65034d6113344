"""The root of the `spinecare` command: command groups are imported only when they are called."""

from __future__ import annotations

import importlib
import sys

# command -> module with a typer app named `app`; a lazy table keeps `spinecare assess` fast to start.
COMMANDS: dict[str, str] = {
    "assess": "spinecare.cli.assess",
    "prepare": "spinecare.cli.prepare",
    "dataset": "spinecare.cli.dataset",
    "phantom": "spinecare.cli.phantom",
    "train": "spinecare.cli.train",
    "demo-train": "spinecare.cli.demo_train",
    "default-train": "spinecare.cli.default_train",
    "serve": "spinecare.cli.serve",
}

HELP = "usage: spinecare COMMAND [OPTIONS]\n\ncommands:\n" + "\n".join(f"  {c}" for c in COMMANDS)


def main() -> None:
    """Dispatch to the command named on the command line; exit 2 for wrong usage."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        from spinecare import __version__

        print(f"spinecare {__version__}")
        return
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(HELP)
        sys.exit(0 if arguments else 2)
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        print(f"spinecare: there is no command {command!r}.\n\n{HELP}", file=sys.stderr)
        sys.exit(2)
    app = importlib.import_module(COMMANDS[command]).app
    app(args=rest, prog_name=f"spinecare {command}")
