"""Debian's Chromium without a screen, driven by WebDriver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import ChromeOptions, Remote

from servers.ports import free_port
from servers.process import is_listening, program, running

_WIDTH, _HEIGHT = 1400, 1000
_OPTIONS = (
    "--headless",
    # Root may start it too; the pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    # A viewer wants WebGL; this one is computed.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # It talks to this machine and to nobody else.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def running_chromium(folder: Path) -> Iterator[Remote]:
    """Run a browser that was never used before; what it keeps is in `folder`."""
    options = ChromeOptions()
    options.binary_location = program("/usr/bin/chromium", "chromium")
    sizes = (f"--window-size={_WIDTH},{_HEIGHT}", f"--user-data-dir={folder / 'profile'}")
    for argument in (*_OPTIONS, *sizes):
        options.add_argument(argument)
    port = free_port()
    command = [program("/usr/bin/chromedriver", "chromedriver"), f"--port={port}"]
    with running(command, log=folder / "driver.log", is_ready=lambda: is_listening(port)):
        browser = Remote(f"http://127.0.0.1:{port}", options=options)
        try:
            yield browser
        finally:
            browser.quit()
