"""Logs: what happened to which request, as text or JSON, and nothing about a person.

A line names the template of an address (`/patients/{key}`), never the address with its query; no client address, no
account, no file name. An exception is named by its type and the lines of code it came through: its text can quote what
somebody typed or what stands in a file.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
import traceback
import warnings
from collections.abc import MutableMapping
from typing import IO, Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spinecare.errors import SpineCareError
from spinecare.server.metrics import Metrics

log = structlog.stdlib.get_logger(__name__)

# Asked every few seconds by programs, or many times for a page.
QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/static"})
# They tell what they find in a file, values included.
SILENT = frozenset(("pydicom", "PIL", "dicomanonymizer", "highdicom", "python_multipart", "tifffile"))
CLIENT_LEFT = 499  # what is counted where no answer was given: nginx's number for it
Event = MutableMapping[str, Any]


def configure(as_json: bool, stream: IO[str] | None = None, level: int = logging.INFO) -> None:
    """Have everything that is logged in this process written to `stream` (standard error when None)."""
    stream = stream or sys.stderr
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        safe_exception,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    # By a filter: pydicom sets the level of its own logger when it is imported.
    handler.addFilter(lambda record: record.name.partition(".")[0] not in SILENT)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("spinecare").setLevel(level)
    warnings.simplefilter("ignore")  # libraries warn of values in files, too


def safe_exception(logger: Any, method: str, event: Event) -> Event:
    """Put the type of an exception and the way it took into the line, in place of its text."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_told(error))
    return event


def _told(error: BaseException) -> list[str]:
    """The causes first, as Python prints them."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [*_told(cause), "then:"] if cause is not None else []
    lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    # The sentences of our own errors name no person.
    text = f": {error}" if isinstance(error, SpineCareError) else ""
    return [*lines, f"{type(error).__qualname__}{text}"]


class Watched:
    """ASGI middleware around the whole application: gives each request an id, counts it, and writes its line.

    The id goes out as X-Request-ID, and stands in every line that is logged on the way.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        begun = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                if not status:
                    raise
                # It was answered and logged (server/problems.py); Starlette raises it again for the server's log.
            finally:
                self._done(scope, status or CLIENT_LEFT, time.perf_counter() - begun)

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope["method"], route_of(scope)
        self.metrics.saw(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET and status < 400 else logging.INFO
        log.log(level, "request", method=method, route=route, status=status, seconds=round(seconds, 4))


def route_of(scope: Scope) -> str:
    """The template of the address that was asked for, once it has been answered; `other` when there is none."""
    route = scope.get("route")
    template = getattr(route, "path", None)
    if isinstance(template, str):
        return template
    return "/static" if str(scope["path"]).startswith("/static/") else "other"
