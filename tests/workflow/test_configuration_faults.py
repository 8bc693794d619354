"""Settings and tables that look right to YAML and to JSON Schema, and are not."""

import math

import pytest
import yaml
from headstyle.base.errors import InputError, given_by
from headstyle.base.tables.rows import read_rows
from headstyle.capture.operators import OPERATORS
from headstyle.workflow import configuration
from study import ROOT, merged

SCHEMAS = ROOT / "config" / "schemas"
STUDY = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
configuration.fill_in_declared(STUDY)


def complaint(changes: dict) -> str:
    with pytest.raises(InputError) as caught:
        configuration.check_config(merged(STUDY, changes), SCHEMAS / "config.schema.yaml")
    return str(caught.value)


def leaves(values: dict, path: tuple = ()):
    """(path, value) of everything that a configuration sets, numbers in lists apart."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif isinstance(value, list):
            yield from (((*path, key, i), item) for i, item in enumerate(value))
        else:
            yield (*path, key), value


NUMBERS = [p for p, v in leaves(STUDY) if isinstance(v, int | float) and not isinstance(v, bool)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_may_be_nan_or_infinite(value):
    config = yaml.safe_load(yaml.safe_dump(STUDY))
    for path in NUMBERS:
        level = config
        for key in path[:-1]:
            level = level[key]
        level[path[-1]] = value
    with pytest.raises(InputError) as caught:
        configuration.check_config(config, SCHEMAS / "config.schema.yaml")
    assert len(NUMBERS) > 100
    for path in NUMBERS:
        assert f"{'.'.join(map(str, path))} is {value};" in str(caught.value)


@pytest.mark.parametrize("value", [900.0, 10**30, True])
def test_a_count_is_a_whole_number(value):
    assert f"baseline.iterations is {value!r}" in complaint({"baseline": {"iterations": value}})


@pytest.mark.parametrize("section", ["poses", "baseline"])
def test_a_key_with_nothing_behind_it_is_told_in_the_words_of_yaml(section):
    changes = {"poses": {"camera_model": None}, "baseline": None}
    said = complaint({section: changes[section]})
    assert " is null; remove the key for its default, or write " in said
    assert "None" not in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"results_dir": "results\n"}, "results_dir is 'results\\n'"),
        ({"results_dir": "{subject}"}, "without spaces, quotes or braces"),
        ({"strengths": {"low\n": {"text_guidance": 1, "image_guidance": 1}}}, "low\\n"),
        ({"masks": {"matting_model": "u2net\n"}}, "masks.matting_model"),
        ({"editing": {"device": "cuda:0\n"}}, "editing.device"),
    ],
)
def test_a_name_may_not_end_in_a_newline(changes, named):
    assert named in complaint(changes)


def test_a_subject_may_not_end_in_a_newline(tmp_path):
    table = tmp_path / "subjects.tsv"
    table.write_text('subject\tsource\n"A\n"\tprocedural\n')
    with pytest.raises(InputError, match=r"row 2: subject is 'A\\n'"):
        configuration.read_checked_rows(table, "subject", SCHEMAS / "subjects.schema.yaml")


@pytest.mark.parametrize("key", ["saturation_percent", "value_percent"])
def test_intervals_of_percent_ascend_and_end_at_100(key):
    assert "smaller number first" in complaint({"masks": {"chroma_key": {key: [80, 20]}}})
    assert "at most 100" in complaint({"masks": {"chroma_key": {key: [20, 120]}}})


def test_an_interval_of_hues_may_run_through_0():
    changed = merged(STUDY, {"masks": {"chroma_key": {"hue_deg": [340, 20]}}})
    configuration.check_config(changed, SCHEMAS / "config.schema.yaml")


@pytest.mark.parametrize("path", ["/", "//", ".", "./", "~/results", "~"])
def test_results_need_a_folder_of_their_own(path):
    with pytest.raises(InputError, match=f"results_dir is '{path}'"):
        configuration.check_results_dir(path)


def test_results_do_not_go_into_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="which is a file"):
        configuration.check_results_dir(str(tmp_path / "file"))
    configuration.check_results_dir(str(tmp_path / "new"))


@pytest.mark.parametrize("name", [*configuration.RESERVED_SUBJECTS, "Logs", "PLOTS"])
def test_a_subject_may_not_be_called_as_a_folder_of_the_results(name):
    with pytest.raises(InputError, match=f"a subject is called '{name}'.*rename"):
        configuration.check_names([name], [], [])


@pytest.mark.parametrize("name", configuration.RESERVED_PROMPTS)
def test_a_prompt_may_not_be_called_as_a_scene_that_is_no_avatar(name):
    with pytest.raises(InputError, match=f"a prompt is called '{name}'"):
        configuration.check_names([], [name], [])
    configuration.check_names(["A", "none"], ["P1"], ["low"])


def test_the_reserved_names_are_the_folders_that_the_rules_make():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for name in configuration.RESERVED_SUBJECTS:
        assert f"{{R}}/{name}/" in rules or f'{{R}}/{name}"' in rules or f"results/{name}/" in rules


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("seed: 1\nseed: 2\n", 2, "seed"),
        (
            "baseline:\n  iterations: 1\n  refine: {every: 1, every: 2}\n",
            3,
            "baseline.refine.every",
        ),
        ("a: [{b: 1, b: 2}]\n", 1, "a.b"),
        ('{"seed": 1, "seed": 2}', 1, "seed"),
    ],
)
def test_a_key_that_stands_twice_is_told_with_its_line(tmp_path, text, line, key):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=rf"mine\.yaml, line {line}: the key {key} stands twice"):
        configuration.check_config_files([tmp_path / "mine.yaml"])


def test_the_files_that_are_shipped_have_no_key_twice():
    configuration.check_config_files([*(ROOT / "config").rglob("*.yaml"), ROOT / "missing.yaml"])


def test_an_unknown_operator_is_told_with_the_known_ones():
    with pytest.raises(InputError, match=r"prompt P9 names the operator 'rabit'.*rabbit"):
        configuration.check_operators([("prompt P1", ""), ("prompt P9", "rabit")])
    configuration.check_operators([("", name) for name in OPERATORS])


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("subject,prompt,strength", "A,P1,low", "lacks the column quality"),
        ("subject,quality", "A,1", "lacks the column prompt"),
        ("subject,prompt,strength,quality", "A,P1,low,good", "A P1 low is 'good', not a number"),
        ("subject,prompt,strength,quality", "A,P1,low,inf", "'inf', not a number"),
        ("subject,prompt,strength,quality,quality", "A,P1,low,1,2", "the column quality twice"),
    ],
)
def test_ratings_are_looked_at_before_the_run(tmp_path, header, row, said):
    path = tmp_path / "ratings.csv"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(InputError, match=said):
        configuration.check_ratings(path)


def test_ratings_may_have_empty_cells(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("subject,prompt,strength,quality\nA,P1,low,\nA,P1,high,3.5\n")
    configuration.check_ratings(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read as a table"),
        (b"subject\tsource\n" + b"x" * 200_000 + b"\tprocedural\n", "cannot be read as a table"),
        (b"subject\tsource\nA\0\tprocedural\n", "subjects"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
        (b"", "no rows"),
        (b"subject\tsubject\nA\tB\n", "the column subject twice"),
    ],
)
def test_what_is_no_table_is_told_in_one_sentence(tmp_path, content, said):
    path = tmp_path / "subjects.tsv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("separator", [" ", ",", ";", "    "])
def test_a_table_without_tabs_is_told_in_one_sentence(tmp_path, separator):
    path = tmp_path / "subjects.tsv"
    path.write_text("subject\tsource\nA\tprocedural\n".replace("\t", separator))
    with pytest.raises(InputError, match=r"has one column, 'subject.*; separate its columns"):
        configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")


def test_spaces_around_a_cell_do_not_count(tmp_path):
    path = tmp_path / "subjects.tsv"
    path.write_text("subject\tsource\tseed\nA \t procedural\t3\n")
    rows = configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")
    assert rows == {"A": {"subject": "A", "source": "procedural", "seed": "3"}}


def test_a_column_of_a_users_table_stands_once(tmp_path):
    (tmp_path / "a.csv").write_text("view,row,row\na,1,2\n")
    with pytest.raises(InputError, match="the column row twice; correct the file"):
        read_rows(tmp_path / "a.csv", given_by("the column rig"))
