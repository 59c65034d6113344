"""`spinecare serve`: the web page and the HTTP interface on this machine."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinecare.scan import ModelInfo
    from spinecare.settings import SiteSettings
    from spinecare.store.site import Answered, Pool

app = typer.Typer(add_completion=False)

# A request that is still sending after this long is cut off, once the service was asked to end.
GRACE_SECONDS = 60


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 127.0.0.1 is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    demo: Annotated[bool, typer.Option("--demo", help="Without accounts, to try it out: this machine alone.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of all that is kept; else SPINECARE_DATA.")] = None,
    database: Annotated[str | None, typer.Option(help="The database's URL; else SPINECARE_DATABASE.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder of a model bundle; the shipped one if left out.")] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish what is in hand. Settings: docs/configuration.md."""
    from spinecare.settings import site_settings

    given: dict[str, Any] = {"data": data, "database": database, "bundle": bundle, "demo": demo or None}
    settings = site_settings(**{name: value for name, value in given.items() if value is not None})
    # The port first: it is known at once, the model takes a moment.
    with _listen(host, port) as listener:
        if settings.demo and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            typer.echo(
                "spinecare serve: the demo has no accounts, so it serves this machine alone. "
                "Leave out --host, or leave out --demo.",
                err=True,
            )
            raise typer.Exit(1)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: sys.exit(0))
        _serve(settings, listener, host)


def _serve(settings: SiteSettings, listener: socket.socket, host: str) -> None:
    import uvicorn

    from spinecare.server.app import create_app
    from spinecare.server.logs import Watched, configure
    from spinecare.server.metrics import metrics_of
    from spinecare.store import upkeep
    from spinecare.store.invitations import first_link
    from spinecare.store.site import open_site

    configure(settings.log_json)
    site = open_site(settings, None if settings.consumers else _pool_without_workers(settings))
    application = create_app(site)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    typer.echo(f"SpineCare is at {address}  (Ctrl-C ends it)")
    if settings.demo:
        typer.echo("Demo: no accounts. Whoever uses this machine sees everything. Not for scans of real patients.")
    elif link := first_link(site.db):
        # On the terminal alone: it must not stand in a log.
        base = settings.public_url.rstrip("/") or address
        typer.echo(f"There is no account yet. Make the administrator's here, within a day: {base}{link}")
    if not settings.public_url and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        typer.echo("Mind: passwords and scans go over the network unencrypted. docs/operations.md shows HTTPS.")
    config = uvicorn.Config(
        Watched(application, metrics_of(application, site)),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # server/security/limits.py looks at them, and believes only trusted proxies
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    sys.stdout.flush()
    with upkeep.hourly(site):
        uvicorn.Server(config).run(sockets=[listener])


class _PagesOnly:
    """In place of worker processes, where `spinecare worker` does the work: knows the model."""

    def __init__(self, model: ModelInfo) -> None:
        self.model = model

    def assess(self, data: bytes, name: str, given: dict[str, object]) -> Answered:
        from spinecare.store.site import WorkerError

        raise WorkerError("This process only answers pages.")

    def close(self) -> None:
        pass


def _pool_without_workers(settings: SiteSettings) -> Pool:
    from spinecare.assessor import load

    return _PagesOnly(load(settings.bundle).model)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        typer.echo(f"spinecare serve: {host!r} is no address of this machine. Try --host 127.0.0.1.", err=True)
        raise typer.Exit(1) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    # Without it each answer on a kept-alive connection waits some 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = {errno.EACCES: "needs more rights than you have", errno.EADDRINUSE: "is already taken"}.get(
            error.errno or 0, f"cannot be used ({error.strerror})"
        )
        typer.echo(
            f"spinecare serve: port {port} on {host} {why}. "
            f"Choose another, for example: spinecare serve --port {8001 if port == 8000 else 8000}",
            err=True,
        )
        raise typer.Exit(1) from None
    return listener
