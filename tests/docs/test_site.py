"""The site builds without a warning and needs no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it: warnings and broken links are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_no_page_loads_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?(https?:[^\"\s>]+)", text)
        loaded += re.findall(r"<link[^>]+rel=\"?(?:style|preconn)[^>]*(https?:[^\"\s>]+)", text)
        assert not loaded, page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)[\"']?https?:", sheet.read_text(encoding="utf-8"))


def test_the_readme_is_the_first_page_and_its_links_work_there(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "Score your own renders" in text
    for target in re.findall(r"(?:href|src)=\"?([^\"\s>#]+)[\"\s>#]", text):
        if not re.match(r"https?:|mailto:|data:", target):
            assert (site / target).exists(), target


def test_functions_are_documented_with_their_arguments(site):
    text = re.sub(r"<[^>]+>", "", (site / "python.html").read_text(encoding="utf-8"))
    assert "read_scene" in text
    assert "Parameters" in text or "Arguments" in text
