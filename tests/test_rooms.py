"""The order of the rooms: which package may import which, and that no imports run in a circle."""

import ast
import importlib
from pathlib import Path

import pytest
from study import ROOT

SCRIPTS = ROOT / "workflow_scripts"
LIBRARY = SCRIPTS / "headstyle"

# Each room, in the order of the pipeline, and the rooms that it may import. This is the only place
# that says so; docs/architecture.md shows the same table, and a test below compares them.
ALLOWED = {
    "base": [],
    "capture": ["base"],
    "importers": ["base"],
    "posing": ["base", "importers"],
    "rendering": ["base"],
    "losses": ["base"],
    "training": ["base", "rendering", "losses"],
    "radiance": ["base", "rendering", "losses", "training"],
    "editing": ["base"],
    "avatars": ["base", "rendering", "losses", "training", "radiance", "editing"],
    "consistency": ["base", "importers", "rendering", "losses", "training"],
    "evaluation": ["base", "rendering", "losses", "consistency"],
    "rigged": [
        *("base", "capture", "importers", "rendering", "losses", "training", "editing", "avatars"),
        *("consistency", "evaluation"),
    ],
    "report": ["base", "importers", "rendering", "consistency"],
    "exporters": ["base", "importers", "rendering"],
    "inspection": ["base", "importers", "posing", "rendering", "report", "exporters"],
    "workflow": [
        *("base", "capture", "importers", "posing", "rendering"),
        *("losses", "editing", "avatars", "consistency", "report"),
    ],
    "review": ["base", "rendering", "training", "consistency", "report"],
    "leaderboard": ["base", "capture", "rendering", "consistency", "evaluation", "report"],
    "calibration": [
        *("base", "capture", "rendering", "losses", "training", "avatars", "consistency"),
        *("report", "workflow"),
    ],
    "commands": [
        *("base", "exporters", "inspection", "workflow", "review", "leaderboard", "calibration"),
    ],
}
MOST_FILES = 14
MOST_LINES = 400
# Found by name, one file each.
OPEN_ROOMS = {"consistency/metrics"}


def modules() -> list[Path]:
    """All modules of both packages."""
    return [
        p for name in ("headstyle", "headstyle_training") for p in (SCRIPTS / name).rglob("*.py")
    ]


def dotted(path: Path) -> str:
    """The name that imports a module."""
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {dotted(path) for path in modules()}


def imports(path: Path, deferred: bool = True) -> set[str]:
    """Our modules that a module imports, also inside functions unless `deferred` is false.

    What stands under `TYPE_CHECKING` runs never and does not count.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (not deferred and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {
                full if (full := f"{node.module}.{alias.name}") in KNOWN else node.module
                for alias in node.names
            }
    return names & KNOWN


def room_of(name: str) -> str | None:
    """The room of a module; None for the package itself and for what trains the small models."""
    parts = name.split(".")
    return parts[1] if parts[0] == "headstyle" and len(parts) > 1 else None


def test_every_room_is_in_the_table():
    folders = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert folders == set(ALLOWED)
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_table_allows_no_way_back():
    order = list(ALLOWED)
    for room, others in ALLOWED.items():
        for other in others:
            assert order.index(other) < order.index(room), f"{room} lies before {other}"


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_the_rooms_it_may(room):
    for path in (LIBRARY / room).rglob("*.py"):
        taken = {room_of(name) for name in imports(path)} - {None, room}
        assert taken <= set(ALLOWED[room]), f"{path.relative_to(SCRIPTS)} imports {sorted(taken)}"


def test_nothing_imports_what_trains_the_small_models_but_itself():
    for path in LIBRARY.rglob("*.py"):
        assert not any(name.startswith("headstyle_training") for name in imports(path)), path


def test_nothing_imports_a_stage_script():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] not in scripts, path
            elif isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & scripts, path


def test_no_imports_run_in_a_circle():
    graph = {dotted(path): imports(path, deferred=True) for path in modules()}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                follow(other, (*way, name))
            done.add(name)

    for name in sorted(graph):
        follow(name, ())


def test_no_room_takes_a_private_name_of_another_module():
    for path in [*modules(), *SCRIPTS.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstyle"):
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert set(private) <= {"__version__"}, f"{path.name} imports {private}"


@pytest.mark.parametrize("package", ["headstyle", "headstyle_training"])
def test_rooms_are_small(package):
    for init in (SCRIPTS / package).rglob("__init__.py"):
        room = init.parent
        files = len(list(room.glob("*.py")))
        name = room.relative_to(SCRIPTS / package).as_posix()
        assert name in OPEN_ROOMS or files <= MOST_FILES, f"{name} has {files} files"


def test_modules_are_short():
    for path in [*modules(), *SCRIPTS.glob("*.py")]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MOST_LINES, f"{path.relative_to(SCRIPTS)} has {lines} lines"


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_says_what_it_is_and_opens_its_door(room):
    package = importlib.import_module(f"headstyle.{room}")
    assert package.__doc__
    for name in getattr(package, "__all__", []):
        assert getattr(package, name) is not None
