"""What metrics, editors and schedules declare agrees with their code, the study and the docs."""

import subprocess
import sys
from importlib import import_module

import jsonschema
import pytest
import yaml
from headstyle.avatars import schedules
from headstyle.avatars.schedules import make_schedule, schedule_paths
from headstyle.avatars.settings import avatar_stylization
from headstyle.base.settings import declared_settings
from headstyle.consistency import metrics
from headstyle.consistency.metrics import metric_paths
from headstyle.consistency.metrics.dreamsim import TYPES
from headstyle.editing import editors
from headstyle.editing.editors import editor_kind, editor_paths
from headstyle.editing.editors.control import OPERATIONS
from headstyle.editing.registry import avatar_editing, machine_editing, weights_editing
from headstyle.losses.lpips_networks import BACKBONES
from headstyle.workflow.configuration import declared_sections
from headstyle.workflow.provenance import library_modules
from headstyle.workflow.settings_docs import settings_reference
from study import ROOT

SCRIPTS = ROOT / "workflow_scripts"
STUDY = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
DECLARED = [
    (section, setting) for section, found in declared_sections().items() for setting in found
]
NAMES = [f"{section}.{setting.name}" for section, setting in DECLARED]


@pytest.mark.parametrize(("section", "setting"), DECLARED, ids=NAMES)
def test_each_default_is_allowed_and_is_the_studys_value(section, setting):
    jsonschema.validate(setting.default, setting.schema)
    value = STUDY[section]
    for key in setting.name.split("."):
        value = value[key]
    assert value == setting.default


@pytest.mark.parametrize(("section", "setting"), DECLARED, ids=NAMES)
def test_each_setting_says_what_it_means(section, setting):
    assert setting.meaning.endswith(".")


@pytest.mark.parametrize(
    ("package", "paths"),
    [(metrics, metric_paths()), (editors, editor_paths()), (schedules, schedule_paths())],
)
def test_the_declaration_that_is_read_is_the_one_that_python_runs(package, paths):
    for name, path in paths.items():
        module = import_module(f"{package.__name__}.{name}")
        own = [setting.name for setting in declared_settings([path])]
        is_own = "SETTINGS" in path.read_text()
        assert own == ([setting.name for setting in module.SETTINGS] if is_own else [])


def choices(section: str, name: str) -> list:
    [found] = [s for part, s in DECLARED if (part, s.name) == (section, name)]
    return found.schema.get("enum") or found.schema["additionalProperties"]["enum"]


def test_the_choices_are_those_that_the_code_knows():
    assert choices("editing", "control.operations") == list(OPERATIONS)
    assert tuple(choices("metrics", "dreamsim_type")) == TYPES
    assert set(choices("metrics", "lpips_net")) == set(BACKBONES)
    assert set(choices("stylization", "lpips_net")) == {*BACKBONES, "mini"}


def test_each_editor_and_schedule_has_the_name_of_its_module():
    for name in editor_paths():
        assert editor_kind({"editor": name}).name == name
    for name in schedule_paths():
        settings = {"schedule": name, "iterations": None, "edit_every": None}
        assert make_schedule(settings).name == name


def test_an_avatar_is_shaped_by_its_own_editor_and_prompt_alone():
    operations = {"P4": "recolor", "P6": "painterly"}
    control = {"operations": operations, "per_view_randomness": 0.3}
    editing = STUDY["editing"] | {"editor": "control", "control": control}
    shaping = avatar_editing(editing, "P4")
    assert shaping["control"] == {"operations": {"P4": "recolor"}, "per_view_randomness": 0.3}
    assert not {"model", "device", "batch_size"} & set(shaping)
    assert machine_editing(editing) == {"device": None}
    assert avatar_editing(editing)["control"]["operations"] == operations
    diffusion = STUDY["editing"]
    assert "control" not in avatar_editing(diffusion, "P4")
    assert set(machine_editing(diffusion)) == {"device", "batch_size", "max_memory_gb", "compile"}
    assert set(weights_editing(diffusion)) == {"editor", "model", "revision"}
    assert "avatars_per_job" not in avatar_stylization(STUDY["stylization"])


@pytest.mark.parametrize(
    ("script", "room"),
    [
        ("measure_consistency", "consistency/metrics"),
        ("stylize_avatar", "editing/editors"),
        ("stylize_avatar", "avatars/schedules"),
    ],
)
def test_a_stage_is_redone_when_what_it_may_load_changes(script, room):
    followed = set(library_modules(SCRIPTS / f"{script}.py"))
    assert followed >= set((SCRIPTS / "headstyle" / room).glob("*.py"))


def test_checking_a_configuration_imports_no_network_library():
    code = (
        "import sys, yaml\n"
        "from headstyle.workflow.configuration import check_config, fill_in_declared\n"
        "from headstyle.editing.registry import avatar_editing, check_editing, editor_note\n"
        "from headstyle.avatars.schedules import later_passes\n"
        "config = yaml.safe_load(open('config/config.yaml'))\n"
        "check_config(config, 'config/schemas/config.schema.yaml')\n"
        "fill_in_declared(config)\n"
        "check_editing(config['editing'], ['P1'])\n"
        "avatar_editing(config['editing'], 'P1'), editor_note(config['editing'])\n"
        "later_passes(config['stylization'])\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_reference_in_the_docs_is_up_to_date():
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_reference(declared_sections()), (
        "run `python -m headstyle.workflow.settings_docs docs/settings.md`"
    )
