"""The drawings in docs/ are those that the code makes, and the layout is right on small graphs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import draw_architecture  # noqa: E402
import layered_svg  # noqa: E402


def heights(svg: str) -> dict[str, int]:
    """y of each node's box."""
    boxes = re.findall(r'y="(\d+)" width="\d+" height="\d+" rx="5"/><text [^>]*>(\w+)<', svg)
    return {name: int(y) for y, name in boxes}


def test_the_committed_drawings_are_up_to_date():
    command = [sys.executable, "docs/draw_architecture.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_what_a_room_imports_is_read_from_its_modules():
    rooms = draw_architecture.imported_rooms()
    assert rooms["base"] == set()
    assert {"base", "rendering"} <= rooms["training"]
    assert "" not in rooms


def test_the_table_of_allowed_imports_is_that_of_the_rooms_test():
    page = draw_architecture.with_table("<!-- rooms:begin -->old<!-- rooms:end -->")
    assert "old" not in page
    assert "| `base` | no other |" in page
    assert "| `losses` | `base` |" in page


def test_an_arrow_that_a_longer_way_implies_is_left_out():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert layered_svg.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_a_circle_is_told():
    with pytest.raises(ValueError, match="a -> b -> a"):
        layered_svg.reduced({"a": {"b"}, "b": {"a"}})


def test_what_is_needed_lies_below_or_above():
    graph = {"roof": {"wall"}, "wall": {"ground"}, "ground": set()}
    above = heights(layered_svg.draw(graph, "a house"))
    assert above["roof"] < above["wall"] < above["ground"]
    below = heights(layered_svg.draw(graph, "a house", down=True))
    assert below["roof"] > below["wall"] > below["ground"]


def test_boxes_of_a_layer_do_not_overlap():
    graph = {"top": {f"node_{i}" for i in range(7)}, **{f"node_{i}": set() for i in range(7)}}
    svg = layered_svg.draw(graph, "a comb")
    boxes = [(int(x), int(w)) for x, w in re.findall(r'<rect x="(\d+)" y="74" width="(\d+)"', svg)]
    assert len(boxes) == 7
    for (x, width), (following, _) in zip(sorted(boxes), sorted(boxes)[1:], strict=False):
        assert x + width < following
