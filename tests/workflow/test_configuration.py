"""A wrong setting is told by its key, before any job starts."""

import copy
from pathlib import Path

import pytest
import yaml
from headstyle.avatars.schedules import make_schedule
from headstyle.base.errors import InputError
from headstyle.workflow import configuration
from study import ROOT, merged

SCHEMAS = ROOT / "config" / "schemas"
STUDY = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def complaint(changes: dict) -> str:
    with pytest.raises(InputError) as caught:
        configuration.check_config(
            merged(copy.deepcopy(STUDY), changes), SCHEMAS / "config.schema.yaml"
        )
    return str(caught.value)


def test_the_study_and_the_demo_are_valid():
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    configuration.check_config(STUDY, SCHEMAS / "config.schema.yaml")
    configuration.check_config(merged(STUDY, demo), SCHEMAS / "config.schema.yaml")


def test_the_study_has_the_published_numbers():
    study, strengths = STUDY["study"], STUDY["strengths"]
    avatars = len(study["subjects"]) * len(study["prompts"]) * len(study["strengths"])
    capture = STUDY["capture"]
    assert avatars == 64
    assert capture["grid_rows"] * capture["grid_columns"] + capture["line_views"] == 37
    schedule = make_schedule(STUDY["stylization"])
    assert (STUDY["baseline"]["iterations"], schedule.iterations) == (30000, 5000)
    assert schedule.edit_every == 2500
    assert strengths["low"] == {"text_guidance": 5, "image_guidance": 2}
    assert strengths["high"] == {"text_guidance": 7.5, "image_guidance": 2}


def test_a_misspelled_key_is_named_with_its_level():
    text = complaint({"adjacency": {"neighbours": 8}})
    assert "adjacency.neighbours is an unknown key" in text
    assert "max_angle_deg" in text


def test_a_value_out_of_range_is_told_with_the_range():
    text = complaint({"baseline": {"sh_degree": 7}})
    assert "baseline.sh_degree is 7" in text
    assert "at most 3" in text


def test_all_wrong_keys_are_told_at_once():
    text = complaint({"seed": -1, "poses": {"mapper": "magic"}})
    assert "seed is -1" in text
    assert "poses.mapper is 'magic'; allowed: one of incremental, global" in text


def test_a_missing_key_is_named():
    broken = copy.deepcopy(STUDY)
    del broken["images"]["side"]
    with pytest.raises(InputError, match=r"images\.side is missing"):
        configuration.check_config(broken, SCHEMAS / "config.schema.yaml")


def every_leaf(schema: dict, path: tuple = ()):
    """(path, schema) of each key of the schema that holds a value, not further keys."""
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner:
            yield from every_leaf(inner, (*path, name))
        else:
            yield (*path, name), inner


LEAVES = list(every_leaf(configuration.config_schema(SCHEMAS / "config.schema.yaml")))


@pytest.mark.parametrize("path", [path for path, _ in LEAVES], ids=".".join)
def test_a_value_of_a_wrong_kind_is_told_by_its_key(path):
    wrong: object = {"nonsense": {"nonsense": []}}
    for name in reversed(path):
        wrong = {name: wrong}
    broken = copy.deepcopy(STUDY)
    level = broken
    for name in path[:-1]:
        # Sections of changes may lack a key.
        level = level.setdefault(name, {})
    level[path[-1]] = {"nonsense": {"nonsense": []}}
    with pytest.raises(InputError) as caught:
        configuration.check_config(broken, SCHEMAS / "config.schema.yaml")
    assert ".".join(path) in str(caught.value)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "subjects.tsv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["../x", "two words", "a/b", "", ".hidden", "x_y", "ä"])
def test_a_subject_that_cannot_name_a_folder_is_refused(tmp_path, name):
    path = table(tmp_path, f"subject\tsource\tseed\n{name}\tprocedural\t1\n")
    with pytest.raises(InputError, match=r"row 2: subject is .*letters, digits and hyphens"):
        configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")


def test_a_subject_that_stands_twice_is_refused(tmp_path):
    path = table(tmp_path, "subject\tsource\nA\tprocedural\nA\tprocedural\n")
    with pytest.raises(InputError, match="row 3: subject 'A' stands twice"):
        configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")


def test_a_prompt_may_hold_quotes_newlines_and_any_script(tmp_path):
    text = "say \"hi\"\nand 'bye' {x} $(rm) ; 石の像\tend"
    path = table(tmp_path, 'prompt\ttext\nP1\t"' + text.replace('"', '""') + '"\n')
    rows = configuration.read_checked_rows(path, "prompt", SCHEMAS / "prompts.schema.yaml")
    assert rows["P1"]["text"] == text


def test_a_missing_folder_is_told_with_subject_and_column():
    row = {"subject": "A", "source": "photographs", "photographs": "no/such/folder"}
    with pytest.raises(InputError, match="subject A: photographs no/such/folder does not exist"):
        configuration.check_subject(row, "subjects.tsv")


def test_what_a_configuration_lacks_is_filled_in_section_by_section():
    config = {"study": {"subjects": ["A"]}, "foreign": {"mine": {}}}
    defaults = {"study": {"subjects": None, "prompts": ["P1"]}, "foreign": {}, "seed": 0}
    configuration.fill_in(config, defaults)
    assert config == {
        "study": {"subjects": ["A"], "prompts": ["P1"]},
        "foreign": {"mine": {}},
        "seed": 0,
    }
    config["study"]["prompts"].append("P2")
    assert defaults["study"]["prompts"] == ["P1"]


def test_a_complete_configuration_is_not_changed_by_the_defaults():
    defaults = configuration.read_defaults(ROOT / "config" / "config.yaml")
    config = merged(defaults, yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()))
    before = copy.deepcopy(config)
    configuration.fill_in(config, defaults)
    assert config == before


def test_the_configs_readme_names_every_section_setting_and_column():
    text = (ROOT / "config" / "README.md").read_text()
    defaults = configuration.read_defaults(ROOT / "config" / "config.yaml")
    for section, settings in defaults.items():
        if not isinstance(settings, dict):
            assert f"`{section}`" in text
            continue
        chapter = text.split(f"### `{section}`")[1].split("\n### ")[0]
        for name in settings:
            assert f"`{name}`" in chapter, f"{section}.{name}"
    for table in ("subjects", "prompts"):
        schema = yaml.safe_load((ROOT / "config" / "schemas" / f"{table}.schema.yaml").read_text())
        chapter = text.split(f"### `config/{table}.tsv`")[1].split("\n### ")[0]
        for column in schema["properties"]:
            assert f"| `{column}` |" in chapter


def test_the_layout_is_that_of_the_workflow_catalog():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"]
    assert usage["report"]
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    for path in ("workflow/Snakefile", "config/README.md", "config/config.yaml"):
        assert (ROOT / path).is_file()
