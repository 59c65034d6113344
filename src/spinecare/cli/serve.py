"""`spinecare serve`: the web page and the HTTP interface on this machine."""

from __future__ import annotations

import errno
import logging
import socket
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 127.0.0.1 is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    bundle: Annotated[Path | None, typer.Option(help="Folder of a model bundle; the shipped one if left out.")] = None,
) -> None:
    """Serve the web page until Ctrl-C."""
    # The port first: it is known at once, the model takes a moment.
    listener = _listen(host, port)
    import uvicorn

    from spinecare.assessor import load
    from spinecare.errors import SpineCareError
    from spinecare.server.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        application = create_app(load(bundle))
    except SpineCareError as error:
        listener.close()
        typer.echo(f"spinecare serve: {error}", err=True)
        raise typer.Exit(1) from None
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"SpineCare is at http://{shown}:{listener.getsockname()[1]}  (Ctrl-C ends it)")
    if host not in {"127.0.0.1", "localhost", "::1"}:
        typer.echo("Mind: everyone who reaches this address can use it; there are no accounts yet.")
    config = uvicorn.Config(application, log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        typer.echo(f"spinecare serve: {host!r} is no address of this machine. Try --host 127.0.0.1.", err=True)
        raise typer.Exit(1) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
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
