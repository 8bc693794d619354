"""Each rule's conda environment holds what its script imports, in the versions that were tested."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from headstyle.workflow.provenance import Library
from study import ROOT

# Reads each module once for all scripts.
LIBRARY = Library(ROOT / "workflow_scripts")
# Where the name to import is not the name to install.
PACKAGES = {
    "OpenEXR": "openexr",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "flip_evaluator": "flip-evaluator",
    "huggingface_hub": "huggingface-hub",
    "lazy_loader": "lazy-loader",
    "mpl_toolkits": "matplotlib",
    "pillow_heif": "pillow-heif",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
# Asked for by name, and told where they are missing: who wants them adds them.
OPTIONAL = {"gaussforge": "sog", "dreamsim": "dreamsim", "pyarrow": "arrow", "rawpy": "raw"}
"""Packages by name, and the extra of the installation that has them."""
# Snakemake puts itself on the path of every script.
PROVIDED = {"headstyle", "headstyle_training", "snakemake"}


def rules_with_scripts() -> list[tuple[str, str]]:
    """(script, environment file) of each rule."""
    pairs = []
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for rule in file.read_text().split("\nrule ")[1:]:
            if "output:" not in rule:
                continue  # A target, which makes nothing itself.
            env = re.search(r'conda:\s+"\.\./(envs/\w+\.yaml)"', rule)
            script = re.search(r'script:\s+"\.\./(workflow_scripts/\w+\.py)"', rule)
            assert env, f"a rule in {file.name} has no environment: {rule[:40]}"
            assert script, f"a rule in {file.name} has no script: {rule[:40]}"
            pairs.append((script[1], env[1]))
    return pairs


def imported_packages(source: Path) -> set[str]:
    """Names of the third-party packages that a source imports, also inside functions."""
    tree = ast.parse(source.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = set()
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return {PACKAGES.get(n, n) for n in names - PROVIDED if n not in sys.stdlib_module_names}


def pinned(env: str) -> dict[str, str]:
    """Package versions that an environment file pins."""
    found = {}
    for entry in yaml.safe_load((ROOT / env).read_text())["dependencies"]:
        for spec in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, version = re.fullmatch(r"([\w.-]+) ?={1,2}([\w.]+)", spec).groups()
            found[name] = version
    return found


@pytest.mark.parametrize(("script", "env"), rules_with_scripts())
def test_an_environment_holds_what_its_script_imports(script, env):
    sources = {ROOT / script, *LIBRARY.modules(ROOT / script)}
    needed = set().union(*(imported_packages(source) for source in sources))
    assert needed - set(OPTIONAL) <= set(pinned(env))


def test_optional_packages_are_pinned_too():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = (ROOT / "constraints.txt").read_text().splitlines()
    for extra in OPTIONAL.values():
        for requirement in extras["optional-dependencies"][extra]:
            name = re.match(r"[\w-]+", requirement)[0]
            assert any(line.startswith(f"{name}==") for line in tested), name


ENVS = sorted(f"envs/{path.name}" for path in (ROOT / "envs").iterdir())


def test_every_environment_is_that_of_a_rule():
    assert set(ENVS) == {env for _, env in rules_with_scripts()}


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_is_read_strictly(env):
    """Nothing that conda or pip would read in another way, or pass over."""
    content = yaml.safe_load((ROOT / env).read_text())
    assert set(content) == {"channels", "dependencies"}
    # nodefaults keeps out what the machine's own settings of conda add.
    assert content["channels"] == ["conda-forge", "nodefaults"]
    *conda, last = content["dependencies"]
    assert set(last) == {"pip"}
    assert [spec.split()[0] for spec in conda[:2]] == ["python", "pip"]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]* =\d+(\.\w+)*", spec) for spec in conda), conda
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*==\d+(\.\w+)*", spec) for spec in last["pip"]), last
    names = [re.split(r"[ =]", spec)[0] for spec in [*conda, *last["pip"]]]
    assert len(names) == len(set(names)), f"twice: {sorted(n for n in names if names.count(n) > 1)}"


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_pins_the_tested_versions(env):
    tested = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    tested = {name.lower().replace("_", "-"): version for name, version in tested.items()}
    for name, version in pinned(env).items():
        if name not in ("python", "pip"):
            assert version == tested[name], name
