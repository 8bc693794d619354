"""What README.md and docs/ say: short enough to read, and every name in them exists."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAPERS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "benchmarks|config|docs|envs|profiles|report|resources|rules|tests|workflow_scripts"
MAX_WORDS = 35


def texts(path: Path) -> list[str]:
    """Paragraphs, list items, table cells and headings, each on one line; no code blocks."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->|^:::.*(\n {4}.*)*", "", text, flags=re.M)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]+`", "code", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.|#+|\|)\s)", text)
    return [" ".join(cell.split()) for block in blocks for cell in block.split("|") if cell.strip()]


def sentences(path: Path) -> list[str]:
    return [part for text in texts(path) for part in re.split(r"(?<=[.!?])\s+", text)]


def code(path: Path) -> list[str]:
    """Inline code and the lines of code blocks."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, flags=re.M | re.S)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return [line for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`]+)`", text
    )


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and mkdocs name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.M)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def commands(path: Path, program: str) -> list[list[str]]:
    """Words of each command of a program, without the comment and without quoted text."""
    found = [re.sub(r"^\.venv/bin/", "", line.strip()) for line in code(path)]
    found = [re.sub(r"\"[^\"]*\"?", "", line) for line in found]
    return [
        shlex.split(line, comments=True) for line in found if re.match(rf"{program} [\w-]", line)
    ]


def test_the_readme_has_at_most_150_lines():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert max(len(line) for line in lines) <= 140


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_no_sentence_is_longer_than_35_words(paper):
    long = [sentence for sentence in sentences(paper) if len(sentence.split()) > MAX_WORDS]
    assert not long


@pytest.mark.parametrize("paper", [*PAPERS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(paper):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", paper.read_text(encoding="utf-8")):
        link, _, anchor = target.partition("#")
        page = (paper.parent / link) if link else paper
        assert page.is_file(), target
        assert not anchor or anchor in anchors(page), target


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_file_of_the_repository_that_is_named_exists(paper):
    for line in code(paper):
        for name in re.findall(rf"(?<![\w/.}}])(?:{FOLDERS})/[\w./*-]*", line):
            assert list(ROOT.glob(name.rstrip("/."))), name


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_module_that_is_named_exists(paper):
    text = paper.read_text(encoding="utf-8")
    for name in re.findall(r"\bheadstyle(?:_training)?(?:\.\w+)+", text):
        parts = name.split(".")
        path = ROOT / "workflow_scripts"
        while parts and (path / parts[0]).is_dir():
            path /= parts.pop(0)
        if parts and (path / f"{parts[0]}.py").is_file():
            path /= f"{parts.pop(0)}.py"
        assert len(parts) <= 1, name
        source = path if path.is_file() else path / "__init__.py"
        assert not parts or re.search(rf"\b(def|class) {parts[0]}\b", source.read_text()), name


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_target_of_a_command_exists(paper):
    makefile = (ROOT / "Makefile").read_text()
    for words in commands(paper, "make"):
        for word in [word for word in words[1:] if "=" not in word]:
            assert re.search(rf"^{word}:", makefile, flags=re.M), word
    rules = "".join(path.read_text() for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")])
    for words in commands(paper, "snakemake"):
        for target in targets(words):
            assert re.search(rf"^(rule {target}:|use rule \w+ as {target} )", rules, flags=re.M), (
                words
            )


def targets(words: list[str]) -> list[str]:
    """Rules that a command of Snakemake asks for, not the files."""
    found = []
    taking = 0
    for word in words[1:]:
        if word.startswith("-"):
            taking = {"--use-conda": 0, "-n": 0, "--configfile": 9, "--config": 9}.get(word, 1)
        elif taking and ("." in word or "=" in word or taking == 1):
            taking -= 1
        elif "/" not in word:
            found.append(word)
    return found


def test_targets_are_found_among_options():
    command = "snakemake --cores all score_renders --configfile config/demo.yaml --config a=b"
    assert targets(command.split()) == ["score_renders"]
    assert targets(["snakemake", "--use-conda", "--cores", "2", "results/A/adjacency.csv"]) == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(paper):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    sections = "|".join(key for key, value in config.items() if isinstance(value, dict))
    for word in code(paper):
        # `baseline.strategy: mcmc` names a setting and a value; `masks.json` is a file.
        match = re.fullmatch(rf"((?:{sections})(?:\.\w+)+)(?::.*)?", word)
        if not match or re.search(r"\.(checkpoint|json|csv|png|html|py)$", match[1]):
            continue
        value = config
        for key in match[1].split("."):
            assert isinstance(value, dict), match[1]
            assert key in value, match[1]
            value = value[key]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_rule_in_the_tables_of_stages_exists(paper):
    """Names of two or more words before a table's second column, where the header says `stage`."""
    rules = "".join(path.read_text() for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")])
    for table in re.findall(r"^\| stage .*\n\|[-|]+\n((?:\|.*\n)*)", paper.read_text(), flags=re.M):
        for name in re.findall(r"^\| (.*?) \|", table, flags=re.M):
            for rule in re.findall(r"`(\w+)`", name):
                assert re.search(rf"\brule {rule}:|\bas {rule} with", rules), rule
