"""Draw rooms.svg from the imports of the library, and rules.svg from the rules of the workflow.

    python docs/draw_architecture.py            # writes all (make drawings)
    python docs/draw_architecture.py --check    # says what is out of date, and fails

Both graphs are drawn without the arrows that other arrows imply (transitive reduction). The table
of allowed imports in architecture.md is that of tests/test_rooms.py.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from layered_svg import Graph, draw

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "workflow_scripts"
STAGES = "stage scripts"
TARGETS = ["all", "calibrate_metrics", "calibrate_trained", "score_renders", "models"]


def imported_rooms() -> Graph:
    """Which room imports which: {room: rooms it imports}. The stage scripts count as one room."""
    graph: dict[str, set[str]] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        room = _room(".".join(path.relative_to(LIBRARY).with_suffix("").parts), path)
        found = {_room(name) for name in _imports(path)}
        graph.setdefault(room, set()).update(found - {room, ""})
    graph.pop("")
    return {room: graph[room] & set(graph) for room in graph}


def _room(module: str, path: Path | None = None) -> str:
    """`rendering` of headstyle.rendering.splats; "" of what is no room, such as numpy."""
    parts = module.split(".")
    if parts[0] == "headstyle_training":
        return "headstyle_training"
    if parts[0] == "headstyle":
        return parts[1] if len(parts) > 1 and (LIBRARY / "headstyle" / parts[1]).is_dir() else ""
    return STAGES if path is not None else ""


def _imports(path: Path) -> list[str]:
    """Names of modules, and of what is imported from them: `from headstyle.base import files`.

    What stands under `TYPE_CHECKING` never runs and does not count.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def rule_graph() -> Graph:
    """Which rule takes another one's output: {rule: rules it takes from}, of the demo.

    The demo's configuration is used with one scene of another method, so that score_renders is in.
    """
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder, "views")
        views.mkdir()
        for file in (views / "a.png", cameras := Path(folder, "cameras.json")):
            file.touch()
        scene = {"renders": str(views), "unedited": str(views), "cameras": str(cameras)}
        command = [sys.executable, "-m", "snakemake", "--configfile", "config/demo.yaml"]
        command += ["--config", f"foreign={json.dumps({'mine': scene})}", "--cores", "1"]
        command += ["--nolock", "--forceall", "--rulegraph", "dot", "--", *TARGETS]
        dot = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    graph: dict[str, set[str]] = {name: set() for name in names.values()}
    for source, target in re.findall(r"(\d+) -> (\d+)", dot):
        if source != target:
            graph[names[target]].add(names[source])
    return graph


def allowed_imports() -> dict[str, list[str]]:
    """{room: rooms it may import}, as the test of the rooms holds it."""
    tree = ast.parse((ROOT / "tests/test_rooms.py").read_text(encoding="utf-8"))
    [table] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ALLOWED"
    ]
    return eval(ast.unparse(table))


def with_table(page: str) -> str:
    """The page of the architecture with the table of allowed imports between its markers."""
    rows = ["| room | may import |", "|---|---|"]
    for room, others in allowed_imports().items():
        rows.append(f"| `{room}` | {', '.join(f'`{other}`' for other in others) or 'no other'} |")
    head, rest = page.split("<!-- rooms:begin -->")
    _, tail = rest.split("<!-- rooms:end -->")
    table = "\n".join(rows)
    return f"{head}<!-- rooms:begin -->\n\n{table}\n\n<!-- rooms:end -->{tail}"


def drawings() -> dict[str, str]:
    """The text of each file that is made from the code, by its name."""
    rooms = draw(imported_rooms(), "Rooms of the library; an arrow points to what a room imports")
    rules = draw(
        rule_graph(),
        "Rules of the workflow; an arrow leads to the rule that takes the output",
        down=True,
    )
    page = with_table((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
    return {"rooms.svg": rooms, "rules.svg": rules, "architecture.md": page}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if out of date")
    check = parser.parse_args().check
    stale = []
    for name, svg in drawings().items():
        path = ROOT / "docs" / name
        if not path.exists() or path.read_text(encoding="utf-8") != svg:
            stale.append(name)
            if not check:
                path.write_text(svg, encoding="utf-8")
    if check and stale:
        sys.exit(f"{' and '.join(stale)} in docs/ are out of date; run `make drawings`")


if __name__ == "__main__":
    main()
