"""A real browser for tests: Chromium with software GL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A running Chromium. Without one the test is skipped, with what to install."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    binary = next((path for path in PLACES if Path(path).exists()), None)
    if binary is None:
        pytest.skip("no Chromium at " + " or ".join(PLACES) + ": apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=binary, args=list(SOFTWARE_GL))
        yield running
        running.close()
