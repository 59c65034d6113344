"""The root of the `spinecare` command: command groups are imported only when they are called."""

from __future__ import annotations

import importlib
import sys

# command -> (module with a typer app named `app`, one line of help). A lazy table keeps
# `spinecare assess` fast to start, and `spinecare train` the only one that needs torch.
COMMANDS: dict[str, tuple[str, str]] = {
    "assess": ("spinecare.cli.assess", "assess scans: osteoporosis or not, with certainty and reasons"),
    "prepare": ("spinecare.cli.prepare", "draw each stage of a scan's preparation"),
    "serve": ("spinecare.cli.serve", "serve the web page and the HTTP interface"),
    "worker": ("spinecare.cli.worker", "assess what the web service has taken in, in a process of its own"),
    "account": ("spinecare.cli.account", "make and look after accounts"),
    "store": ("spinecare.cli.store", "back up, restore, check and tidy what is kept"),
    "dataset": ("spinecare.cli.dataset", "make, check and split a dataset's manifest"),
    "phantom": ("spinecare.cli.phantom", "make virtual patients"),
    "train": ("spinecare.cli.train", "train the members and the stack, and export a bundle"),
    "study": ("spinecare.cli.study", "compare members and combiners on a dataset, nested, with intervals"),
    "claims": ("spinecare.cli.claims", "run the published way beside the honest one, on the same scans"),
    "tune": ("spinecare.cli.tune", "search members' settings, inside training parts or on virtual patients"),
    "levels-train": ("spinecare.cli.levels_train", "train the network that finds L1-L4, on virtual patients"),
    "demo-train": ("spinecare.cli.demo_train", "train on virtual patients in under ten minutes"),
    "default-train": ("spinecare.cli.default_train", "train the bundle that is in the package"),
}

# What `pip install spinecare` leaves out, by the name of the import.
_TRAIN_ONLY = {
    "lightning_fabric",
    "matplotlib",
    "monai",
    "onnx",
    "onnxscript",
    "optuna",
    "pandas",
    "pyarrow",
    "sklearn",
    "skl2onnx",
    "threadpoolctl",
    "torch",
}

HELP = "\n".join(
    [
        "usage: spinecare COMMAND [OPTIONS]",
        "",
        "Reads spine DXA scans and says, with its certainty and its reasons, whether they show",
        "osteoporosis. For research, not a diagnosis.",
        "",
        "commands (spinecare COMMAND --help says more):",
        *(f"  {name:<14} {about}" for name, (_, about) in COMMANDS.items()),
        "",
        "options:",
        "  --version      print the version",
        "  -h, --help     print this",
    ]
)


def main() -> None:
    """Run the command named on the command line.

    Exits 2 for wrong usage, 1 with one sentence on standard error for what SpineCare cannot do;
    otherwise as the command itself says.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        from spinecare import __version__

        print(f"spinecare {__version__}")
        return
    if not arguments:
        print(HELP, file=sys.stderr)
        sys.exit(2)
    command, rest = arguments[0], arguments[1:]
    if command in {"-h", "--help"}:
        print(HELP)
        return
    if command not in COMMANDS:
        print(f"spinecare: there is no command {command!r}.\n\n{HELP}", file=sys.stderr)
        sys.exit(2)
    _run(command, rest)


def _run(command: str, arguments: list[str]) -> None:
    from spinecare.errors import SpineCareError

    try:
        app = importlib.import_module(COMMANDS[command][0]).app
        app(args=arguments, prog_name=f"spinecare {command}")
    except SpineCareError as error:
        print(f"spinecare {command}: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder that may not be written, a file where a folder should be.
        named = f"{error.filename}: " if error.filename is not None else ""
        print(f"spinecare {command}: {named}{error.strerror or error}.", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _TRAIN_ONLY:
            raise
        print(
            f"spinecare {command}: this needs {package}, which the base install leaves out. "
            "Install it with: pip install 'spinecare[train]'",
            file=sys.stderr,
        )
        sys.exit(1)
