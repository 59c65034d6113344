"""What a real browser does with our headers and cookies: our forms work, another site's don't, nobody frames us."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn

from accounts import put_account
from spinecare.server.app import create_app
from spinecare.store import accounts
from spinecare.store.actor import Role
from spinecare.store.models import Account
from spinecare.store.site import Site

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
RIGHT = "blue door seven herons"


@pytest.fixture
def served(make_site: Callable[..., Site]) -> Iterator[str]:
    """The address of a site where `ada` has a password."""
    site = make_site(demo=False)
    put_account(site, Role.ADMINISTRATOR, "ada")
    with site.db.begin() as session:
        session.query(Account).one().password_hash = accounts.hash_password(RIGHT)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(site), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    listener.listen()
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def evil(served: str) -> Iterator[str]:
    """Another site (localhost is another host than 127.0.0.1), which sends our forms and frames our pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = f"""<form method="post" action="{served}/account/name"><input name="name" value="Eve"></form>
                <iframe src="{served}/sign-in"></iframe><script>document.forms[0].submit()</script>"""
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(data.encode())

        def log_message(self, *given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_browser_signs_in_by_our_form_and_does_nothing_for_another_site(served: str, evil: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        # Scripts are off for us: the forms work without them.
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{served}/account")
        assert page.url == f"{served}/sign-in?next=/account"
        page.fill("#login", "ada")
        page.fill("#password", RIGHT)
        page.click("main form button")
        assert page.url == f"{served}/account"
        page.fill("#name", "Dr. Ada Keller")
        page.click("text=Change the name")
        assert page.inner_text("h1") == "Dr. Ada Keller"

        state = context.storage_state()
        other = browser.new_context(storage_state=state)
        tab, answers = other.new_page(), []
        tab.on("response", lambda answer: answers.append((answer.request.method, answer.status, answer.url)))
        tab.goto(evil)
        tab.wait_for_url(f"{served}/account/name")
        assert ("POST", 403, f"{served}/account/name") in answers
        page.goto(f"{served}/account")
        assert page.inner_text("h1") == "Dr. Ada Keller"

        page.click("text=Sign out here")
        page.goto(f"{served}/account")
        assert page.url.startswith(f"{served}/sign-in")
        browser.close()
