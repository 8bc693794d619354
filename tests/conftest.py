"""What every test file shares."""

from collections.abc import Callable

import headstyle  # noqa: F401  (first of all: it sets how idle threads wait)
import pytest
from study import Study


@pytest.fixture
def study(tmp_path) -> Callable[..., Study]:
    """Make a scratch study with the demo's settings, some of them replaced."""
    return lambda **changes: Study.with_demo_settings(tmp_path, changes)
