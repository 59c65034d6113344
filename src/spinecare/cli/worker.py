"""`spinecare worker`: does the assessing of an installation whose web service runs elsewhere."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    data: Annotated[Path | None, typer.Option(help="Folder of all that is kept; else SPINECARE_DATA.")] = None,
    database: Annotated[str | None, typer.Option(help="The database's URL; else SPINECARE_DATABASE.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder of a model bundle; the shipped one if left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Scans at a time; else SPINECARE_WORKERS.")] = None,
) -> None:
    """Assess what the web service takes in, until Ctrl-C or SIGTERM; what is in hand is finished first.

    Web service and workers share the data folder and the database, and use the same bundle. Set
    SPINECARE_CONSUMERS=no for a web service that leaves all the work to this command.
    """
    from spinecare.server.logs import configure
    from spinecare.settings import site_settings
    from spinecare.store.site import open_site

    given: dict[str, Any] = {"data": data, "database": database, "bundle": bundle, "workers": workers}
    settings = site_settings(**{name: value for name, value in given.items() if value is not None})
    configure(settings.log_json)
    over = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: over.set())
    site = open_site(settings)
    try:
        site.queue.start()
        typer.echo(f"SpineCare assesses, {settings.workers} scans at a time  (Ctrl-C ends it)")
        over.wait()
    finally:
        site.close()
