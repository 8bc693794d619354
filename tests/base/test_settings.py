"""Truths about settings that are declared beside the code that reads them."""

import jsonschema
import pytest
from headstyle.base.errors import InputError
from headstyle.base.settings import (
    Setting,
    complete_schema,
    declared_settings,
    default_values,
    fill_in_defaults,
    laid_over,
    taken,
)

SIGMA = Setting("blur.sigma_px", 2.0, {"type": "number"}, meaning="Width [px].")
COUNT = Setting("count", 3, {"type": "integer", "minimum": 1}, meaning="How many.", machine=True)


def closed_schema(*settings):
    schema = {"type": "object", "additionalProperties": False}
    complete_schema(schema, settings)
    return schema


def test_a_declaration_is_read_without_running_its_module(tmp_path):
    module = tmp_path / "blur.py"
    module.write_text(
        "import a_package_that_nobody_has\n"
        "SETTINGS = (\n"
        "    Setting('blur.sigma_px', -2.5, {'type': 'number'},\n"
        "            meaning='Wi' 'dth', machine=True),\n"
        ")\n"
    )
    [found] = declared_settings([module])
    assert (found.name, found.default, found.schema) == ("blur.sigma_px", -2.5, {"type": "number"})
    assert (found.meaning, found.machine, found.owner) == ("Width", True, "blur")


def test_a_module_without_a_declaration_has_no_settings(tmp_path):
    module = tmp_path / "plain.py"
    module.write_text('"""Has no SETTINGS."""\n')
    assert declared_settings([module]) == ()


@pytest.mark.parametrize(
    "value", ["(Setting('a', WIDTH, {}, meaning=''),)", "make()", "(Other('a'),)", "(Setting(),)"]
)
def test_a_declaration_that_is_no_literal_is_told_with_its_place(tmp_path, value):
    module = tmp_path / "blur.py"
    module.write_text(f"WIDTH = 3\nSETTINGS = {value}\n")
    with pytest.raises(InputError, match=r"blur\.py, line 2: SETTINGS is not a tuple of Setting"):
        declared_settings([module])


def test_a_completed_schema_is_closed_at_each_level():
    schema = closed_schema(SIGMA, COUNT)
    jsonschema.validate({"blur": {"sigma_px": 1.5}, "count": 2}, schema)
    jsonschema.validate({}, schema)
    for wrong in ({"blur": {"sigma": 1}}, {"counts": 2}, {"count": 0}, {"blur": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


@pytest.mark.parametrize("name", ["count", "count.most"])
def test_two_settings_of_one_name_are_refused(name):
    other = Setting(name, 1, {"type": "integer"}, meaning="", owner="other")
    with pytest.raises(InputError, match=f"the module other declares the setting {name}, whose"):
        closed_schema(COUNT, other)


def test_what_is_missing_gets_its_default_and_what_is_given_stays():
    section = {"count": 5}
    fill_in_defaults(section, [SIGMA, COUNT])
    assert section == {"count": 5, "blur": {"sigma_px": 2.0}}


def test_a_default_is_never_shared_between_two_configurations():
    listed = Setting("names", ["a"], {"type": "array"}, meaning="")
    default_values([listed])["names"].append("b")
    assert default_values([listed]) == {"names": ["a"]}


def test_only_the_settings_asked_for_are_taken():
    section = {"blur": {"sigma_px": 1.0, "other": 2}, "count": 5, "more": 1}
    assert taken(section, [SIGMA]) == {"blur": {"sigma_px": 1.0}}
    assert taken({"more": 1}, [SIGMA, COUNT]) == {}


def test_subsections_are_joined_key_by_key():
    assert laid_over({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}}) == {
        "a": {"b": 1, "c": 4},
        "d": 3,
    }
