"""What every test file shares."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import headstyle  # noqa: F401  (first of all: it sets how idle threads wait)
import pytest
import yaml
from chromium import browser  # noqa: F401 (a fixture)
from filelock import FileLock
from study import Study
from tiny_study import TINY


@pytest.fixture
def study(tmp_path) -> Callable[..., Study]:
    """Make a scratch study with the demo's settings, some of them replaced."""
    return lambda **changes: Study.with_demo_settings(tmp_path, changes)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Study:
    """The tiny study from photographs to tables and plots; tests leave it as it is.

    Processes that run tests side by side share one run, and have a copy each.
    """
    shared = tmp_path_factory.getbasetemp().parent / "tiny_study"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shared = tmp_path_factory.mktemp("tiny_study")
    shared.mkdir(exist_ok=True)
    with FileLock(shared.with_suffix(".lock")):
        made = shared / "made"
        if not (shared / "is_whole").exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            Study.with_demo_settings(made, TINY).snakemake()
            (shared / "is_whole").touch()
    folder = tmp_path_factory.mktemp("tiny") / "study"
    shutil.copytree(made, folder, copy_function=shutil.copy2)
    return Study(folder, yaml.safe_load((folder / "settings.yaml").read_text()))


@pytest.fixture
def copy(finished, tmp_path) -> Study:
    """A copy of the finished study to change; copies keep the files' times."""
    return Study.copy_of(finished, tmp_path)


def pytest_collection_modifyitems(config, items) -> None:
    """Leave out what takes hours, unless it is asked for, and begin with the files that take long.

    `-m "not slow"` does not ask for it. A file is done by one process: were a long one the last,
    the other processes would wait for it.
    """
    if "soak" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    first = sorted({item.path for item in items}, key=lambda path: _turn(path, slow[path]))
    places = {path: place for place, path in enumerate(first)}
    # The sort is stable: the tests of a file keep their order.
    items.sort(key=lambda item: places[item.path])


def _turn(path: Path, slow: int) -> tuple[int, bool, str]:
    """When a file is tested: by its slow tests, then those that run Snakemake, then the others."""
    return -slow, path.parent.name != "workflow", str(path)
