"""A newcomer's tasks: each adds one file to a scratch copy, names it in the config, and runs it.

The tasks are a new metric, a new editor and a new schedule. A new camera format and a new stage
belong here too; each gets a section of its own below.
"""

import pytest
from newcomer import Scratch
from study import ROOT


@pytest.fixture
def scratch(tmp_path):
    return Scratch(tmp_path)


FOLLOWED = """
from headstyle.workflow.provenance import library_modules
result = [path.name for path in library_modules("workflow_scripts/{script}.py")]
"""
"""Modules whose change makes a stage run again."""


# A new metric -----------------------------------------------------------------------------------

METRIC = '''
"""How much lighter one view is than the other."""

from headstyle.base.settings import Setting
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, mean_over_overlap

SETTINGS = (
    Setting(
        "lightness.largest",
        1.0,
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        meaning="Differences beyond this count as this.",
    ),
)


class Lightness(Metric):
    """Mean absolute difference of the mean of red, green and blue, cut at a largest one."""

    name = "lightness"
    units = "sRGB, 0 to 1"

    def __call__(self, batch: PairBatch):
        difference = (batch.target - batch.warped).mean(dim=-1).abs()
        return mean_over_overlap(
            difference.clamp(max=self.settings["lightness"]["largest"]), batch.overlap
        )
'''

SCORED = """
import numpy as np
from headstyle.base.cameras import Cameras
from headstyle.consistency.scoring import score

# A plane at depth 2, seen by a camera and by one that stands right of it by two pixels.
image = np.random.default_rng(0).random((8, 8, 3)) * 0.5
moved = np.roll(image, -2, axis=1) + 0.25
intrinsics = np.array([[8, 0, 4], [0, 8, 4], [0, 0, 1.0]])
poses = np.stack([np.eye(4)] * 2)
poses[1, 0, 3] = -0.5
cameras = Cameras(("a", "b"), np.full((2, 2), 8), np.stack([intrinsics] * 2), poses)
depth = np.full((8, 8), 2.0)
settings = completed(changes)["metrics"]
table = score([image, moved], [depth, depth], cameras, [("a", "b")], settings=settings)
result = table["lightness"].tolist()
"""


def test_a_new_metric_is_one_file_and_one_config_line(scratch):
    scratch.add("workflow_scripts/headstyle/consistency/metrics/lightness.py", METRIC)
    named = {"metrics": {"names": ["rmse", "lightness"]}}
    assert scratch.run(SCORED, named) == [pytest.approx(0.25, abs=1e-6)]
    cut = {"metrics": {"names": ["lightness"], "lightness": {"largest": 0.125}}}
    assert scratch.run(SCORED, cut) == [pytest.approx(0.125, abs=1e-6)]
    wrong = {"metrics": {"lightness": {"largest": 2}}}
    assert "metrics.lightness.largest is 2; allowed: number, above 0" in scratch.refusal(wrong)
    unknown = {"metrics": {"lightness": {"most": 1}}}
    assert "metrics.lightness.most is an unknown key" in scratch.refusal(unknown)
    followed = scratch.run(FOLLOWED.format(script="measure_consistency"), {})
    assert "lightness.py" in followed
    assert len(scratch.added) <= 2


def test_snakemake_plans_a_study_with_a_new_metric(scratch):
    scratch.add("workflow_scripts/headstyle/consistency/metrics/lightness.py", METRIC)
    planned = scratch.dry_run({"metrics": {"names": ["lightness"]}})
    assert "lightness.by_prompt.png" in planned
    refused = scratch.dry_run({"metrics": {"lightness": {"largest": 0}}}, succeeds=False)
    assert "Error: the configuration is not valid:\n  metrics.lightness.largest is 0" in refused


# A new editor -----------------------------------------------------------------------------------

EDITOR = '''
"""The editor `negative`: colors turned into their opposites."""

from dataclasses import dataclass
from typing import ClassVar

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.editing.base import with_alpha
from headstyle.editing.editors.base import EditorKind

SETTINGS = (
    Setting(
        "negative.share",
        1.0,
        {"type": "number", "minimum": 0, "maximum": 1},
        meaning="How far colors go to their opposites, from 0 to 1.",
    ),
    Setting("negative.threads", 1, {"type": "integer"}, meaning="Threads.", machine=True),
)


@dataclass(frozen=True)
class NegativeEditor(EditorKind):
    """Mixes each color with its opposite."""

    share: float
    name: ClassVar[str] = "negative"
    shares_batches: ClassVar[bool] = False

    @classmethod
    def make(cls, editing, device):
        return cls(editing["negative"]["share"])

    @classmethod
    def check(cls, editing, prompts):
        if editing["negative"]["share"] == 0 and prompts:
            raise InputError("editing.negative.share is 0, which edits nothing; give more")

    @classmethod
    def note(cls, editing):
        return "The edits of this run are negatives."

    def edit(self, views, instructions):
        colors = [view.photograph[..., :3] for view in views]
        mixed = [(1 - self.share) * color + self.share * (1 - color) for color in colors]
        return [with_alpha(*pair) for pair in zip(mixed, (v.photograph for v in views))]

    def expect(self, views):
        pass

    def describe(self):
        return {"editor": "negative", "share": self.share}

    def describe_machine(self):
        return {}
'''

EDITED = """
import numpy as np
from headstyle.editing.base import Instruction, View
from headstyle.editing.registry import (
    avatar_editing, check_editing, editor_note, machine_editing, make_editor,
)

editing = completed(changes)["editing"]
check_editing(editing, ["P1"])
photograph = np.full((2, 2, 4), 0.25, np.float32)
editor = make_editor(editing, "cpu")
[edited] = editor.edit([View("a", photograph, photograph)], Instruction("P1", "", 7, 2, 1, 0, 0))
result = {
    "edited": edited[0, 0].tolist(),
    "shaping": avatar_editing(editing, "P1"),
    "machine": machine_editing(editing),
    "note": editor_note(editing),
}
"""


def test_a_new_editor_is_one_file_and_one_config_line(scratch):
    scratch.add("workflow_scripts/headstyle/editing/editors/negative.py", EDITOR)
    found = scratch.run(EDITED, {"editing": {"editor": "negative"}})
    assert found["edited"] == [0.75, 0.75, 0.75, 0.25]
    assert found["note"] == "The edits of this run are negatives."
    assert found["shaping"]["negative"] == {"share": 1.0}
    assert not {"model", "control"} & set(found["shaping"])
    assert found["machine"] == {"device": None, "negative": {"threads": 1}}
    half = {"editing": {"editor": "negative", "negative": {"share": 0.5}}}
    assert scratch.run(EDITED, half)["edited"] == [0.5, 0.5, 0.5, 0.25]
    wrong = {"editing": {"editor": "negative", "negative": {"share": 1.5}}}
    assert "editing.negative.share is 1.5; allowed: number, at least 0" in scratch.refusal(wrong)
    known = ["control", "custom", "flux2_klein", "flux_kontext", "instruct_pix2pix", "longcat"]
    known += ["negative", "qwen_image_edit"]
    assert f"one of {', '.join(known)}" in scratch.refusal({"editing": {"editor": "positive"}})
    followed = scratch.run(FOLLOWED.format(script="stylize_avatar"), {})
    assert "negative.py" in followed
    assert len(scratch.added) <= 2


def test_snakemake_plans_a_study_with_a_new_editor(scratch):
    scratch.add("workflow_scripts/headstyle/editing/editors/negative.py", EDITOR)
    assert "stylize_avatar" in scratch.dry_run({"editing": {"editor": "negative"}})
    nothing = {"editing": {"editor": "negative", "negative": {"share": 0}}}
    refused = scratch.dry_run(nothing, succeeds=False)
    assert "Error: editing.negative.share is 0, which edits nothing" in refused


# A new schedule ---------------------------------------------------------------------------------

SCHEDULE = '''
"""A schedule that edits a few views at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstyle.avatars.schedules.base import Edit, Schedule
from headstyle.base.settings import Setting

SETTINGS = (
    Setting(
        "few.views_at_once",
        2,
        {"type": "integer", "minimum": 1},
        meaning="Views that are edited together.",
    ),
)


@dataclass(frozen=True)
class FewSchedule(Schedule):
    """Every few iterations some views are edited, in turns; an iteration takes one view."""

    name: ClassVar[str] = "few"

    iterations: int = 40
    edit_every: int = 20
    views_at_once: int = 2

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        number, since = divmod(iteration, self.edit_every)
        first = number * self.views_at_once
        chosen = tuple((first + i) % views for i in range(min(self.views_at_once, views)))
        return Edit(iteration, number, first // views, chosen, True) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        return [iteration % len(neighbors)]
'''

SCHEDULED = """
from headstyle.avatars.schedules import all_edits, later_passes, make_schedule
from headstyle.avatars.settings import avatar_stylization

stylization = completed(changes)["stylization"]
schedule = make_schedule(avatar_stylization(stylization), seed=1)
result = [edit.views for edit in all_edits(schedule, 3)]
assert later_passes(stylization) == []
"""


def test_a_new_schedule_is_one_file_and_one_config_line(scratch):
    scratch.add("workflow_scripts/headstyle/avatars/schedules/few.py", SCHEDULE)
    own_numbers = {"schedule": "few", "iterations": None, "edit_every": None}
    assert scratch.run(SCHEDULED, {"stylization": own_numbers}) == [[0, 1], [2, 0]]
    single = own_numbers | {"few": {"views_at_once": 1}}
    assert scratch.run(SCHEDULED, {"stylization": single}) == [[0], [1]]
    wrong = {"stylization": {"schedule": "few", "few": {"views_at_once": 0}}}
    refused = scratch.refusal(wrong)
    assert "stylization.few.views_at_once is 0; allowed: integer, at least 1" in refused
    followed = scratch.run(FOLLOWED.format(script="stylize_avatar"), {})
    assert "few.py" in followed
    assert len(scratch.added) <= 2


def test_snakemake_plans_a_study_with_a_new_schedule(scratch):
    scratch.add("workflow_scripts/headstyle/avatars/schedules/few.py", SCHEDULE)
    assert "stylize_avatar" in scratch.dry_run({"stylization": {"schedule": "few"}})
    wrong = {"stylization": {"few": {"views_at_twice": 2}}}
    refused = scratch.dry_run(wrong, succeeds=False)
    assert "stylization.few.views_at_twice is an unknown key; known here: views_at_once" in refused


# A new setting is also documented ---------------------------------------------------------------

DOCUMENTED = """
from headstyle.workflow.configuration import declared_sections
from headstyle.workflow.settings_docs import settings_reference
result = settings_reference(declared_sections())
"""


def test_a_new_setting_enters_the_reference_by_itself(scratch):
    scratch.add("workflow_scripts/headstyle/avatars/schedules/few.py", SCHEDULE)
    before = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    after = scratch.run(DOCUMENTED, {})
    [line] = [line for line in after.splitlines() if "views_at_once" in line]
    assert line == (
        "| `few.views_at_once` | `2` | integer, at least 1 | `few` | "
        "Views that are edited together. |"
    )
    assert line not in before


# A new camera format goes here ------------------------------------------------------------------

# A new stage goes here --------------------------------------------------------------------------
