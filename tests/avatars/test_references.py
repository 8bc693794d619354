"""Truths about what an edit sees of earlier edits, on the ball."""

import json

import numpy as np
import pytest
from ball_avatars import ball_subject, control_editing, order
from headstyle.avatars.files import AvatarFolder
from headstyle.avatars.references import most_alike, warped_into
from headstyle.avatars.runs import AvatarRun
from headstyle.base.files import read_json
from headstyle.base.images import read_rgba
from headstyle.editing.editors.control import ControlEditor


@pytest.fixture(scope="module")
def subject():
    return ball_subject()


def test_the_most_alike_view_is_the_next_one_of_an_arc(subject):
    assert most_alike(subject.cameras, "b", ["a", "c", "d"]) in ("a", "c")
    assert most_alike(subject.cameras, "d", ["a", "b"]) == "b"


def test_a_view_warped_into_itself_is_itself(subject):
    cameras, depth = subject.cameras.select(["a"]), subject.depths["a"]
    both = type(cameras)(
        ("a", "again"),
        *(np.repeat(v, 2, 0) for v in (cameras.sizes, cameras.intrinsics, cameras.world_to_camera)),
    )
    warped = warped_into(subject.photographs["a"], both, depth, depth)
    seen = warped[..., 3] > 0
    assert seen.sum() > 100
    np.testing.assert_allclose(
        warped[seen][:, :3], subject.photographs["a"][seen][:, :3], atol=1e-3
    )


def test_a_neighbor_warped_into_a_view_looks_like_it_where_it_is_seen(subject):
    cameras = subject.cameras.select(["a", "b"])
    warped = warped_into(
        subject.photographs["a"], cameras, subject.depths["a"], subject.depths["b"]
    )
    seen = warped[..., 3] > 0
    inside = subject.depths["b"] > 0
    assert 0.4 < seen[inside].mean() < 1
    assert not seen[~inside].any()
    there, other = warped[seen][:, :3], subject.photographs["b"][seen][:, :3]
    unwarped = subject.photographs["a"][seen][:, :3]
    assert np.abs(there - other).mean() < 0.5 * np.abs(unwarped - other).mean()


def asked(subject, tmp_path, schedule, editor="control", **stylization):
    """The requests of a run, whose views are answered by a recoloring."""
    editing = control_editing() | {"editor": editor, "custom": {"entry": "a:B", "settings": {}}}
    made = order(tmp_path, editing=editing, iterations=5, schedule=schedule, **stylization)
    run = AvatarRun(made, subject, ControlEditor({"P4": "recolor"}), AvatarFolder(made.folder, "x"))
    request, requests = run.advance(), []
    while request is not None:
        requests.append(request)
        request = run.advance(run.editor.edit(request.views, request.instructions))
    run.finish()
    return requests, run


def test_all_others_see_the_edited_anchor(subject, tmp_path):
    # The editor of the user may take references.
    (first, second), run = asked(subject, tmp_path, "anchor", "custom", anchor={"anchors": 1})
    assert [view.name for view in first.views] == ["c"]
    assert [view.name for view in second.views] == ["a", "b", "d"]
    edit = read_rgba(run.files.edits / "cycle0" / "c.png")
    for view in second.views:
        [seen] = view.references
        np.testing.assert_array_equal(seen, edit)
    assert len({i.noise_level for r in (first, second) for i in r.instructions}) == 1
    record = read_json(run.files.finished / "run.json")["edits"]
    assert record[0]["views"] == ["c"]
    assert record[1]["references"] == ["c"]


def test_in_sequence_an_edit_starts_from_its_neighbors_edit_where_that_is_seen(subject, tmp_path):
    requests, run = asked(subject, tmp_path, "sequential")
    assert [[view.name for view in r.views] for r in requests] == [["a"], ["b"], ["c"], ["d"]]
    [view] = requests[1].views
    edit = read_rgba(run.files.edits / "cycle0" / "a.png")
    cameras = subject.cameras.select(["a", "b"])
    warped = warped_into(edit, cameras, subject.depths["a"], subject.depths["b"])
    seen = warped[..., 3] > 0
    np.testing.assert_array_equal(view.render[seen][:, :3], warped[seen][:, :3])
    np.testing.assert_array_equal(view.render[~seen], subject.renders["b"][~seen])
    assert not view.references
    json.dumps(run.described())
