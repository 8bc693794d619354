"""Reading and checking the configuration and its tables, before any job starts.

Every problem is told by its key, the value found and what is allowed, all of them at once.
"""

import ast
import copy
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from headstyle.avatars.settings import stylization_settings
from headstyle.base.errors import InputError, given_by
from headstyle.base.settings import Setting, complete_schema, declared_settings, fill_in_defaults
from headstyle.base.tables.rows import read_rows
from headstyle.consistency.settings import metric_settings
from headstyle.editing.registry import editing_settings, knob_settings

Row = dict[str, str]
RESERVED_SUBJECTS = (
    *("logs", "benchmarks", "tables", "plots", "foreign", "calibration", "downloads"),
    *("calibration_trained", "metric_kit", "models", "reference", "leaderboard"),
)
"""Folders of the results that belong to no subject."""
RESERVED_PROMPTS = ("none", "photographs", "renders")
"""What the tables call scenes that are no avatars."""
_LIBRARY = Path(__file__).parents[1]
_LARGEST = 1 << 63
_STATE = ".safetensors"
_RATED = ("subject", "prompt", "strength", "quality")


def declared_sections() -> dict[str, tuple[Setting, ...]]:
    """The sections of the configuration whose settings stand beside the code that reads them."""
    return {
        "editing": editing_settings(),
        "stylization": stylization_settings(),
        "metrics": metric_settings(),
        "rigged": declared_settings((_LIBRARY / "rigged").glob("*.py")),
    }


def config_schema(schema_path: str | Path) -> dict[str, Any]:
    """The schema of a file, completed by the settings that metrics, editors and schedules declare.

    Raises:
        InputError: two of these settings have one name.
    """
    schema = _read_own(schema_path)
    for name, settings in declared_sections().items():
        complete_schema(schema["properties"][name], settings)
    complete_schema(schema["properties"]["strengths"]["additionalProperties"], knob_settings())
    sections = schema["properties"]
    for name, section in sections["calibration"]["properties"]["trained"]["properties"].items():
        if section == CHANGES:
            section |= _all_optional(sections[name])
    return schema


CHANGES = {"type": "object", "additionalProperties": False}
"""In the file's schema: some settings of the section of the same name."""


def _all_optional(section: dict[str, Any]) -> dict[str, Any]:
    """A schema of the same settings, of which none is required."""
    optional = {key: value for key, value in section.items() if key != "required"}
    if "properties" in section:
        optional["properties"] = {
            name: _all_optional(inner) for name, inner in section["properties"].items()
        }
    return optional


def check_config(config: Mapping[str, Any], schema_path: str | Path) -> None:
    """Check the merged configuration against the closed schema, completed by declared settings.

    Raises:
        InputError: one line per wrong key, with the value found and what is allowed.
    """
    problems = problems_of(config, config_schema(schema_path))
    if problems:
        raise InputError("the configuration is not valid:\n  " + "\n  ".join(problems))


def check_config_files(paths: Iterable[str | Path]) -> None:
    """Check that no key stands twice in a file of settings; YAML would take the last one.

    Raises:
        InputError: a key stands twice.
    """
    for path in paths:
        try:
            root = yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
            continue  # Snakemake has read it; what it cannot read it tells itself.
        for node, name in _keys_twice(root, set()):
            line = node.start_mark.line + 1
            raise InputError(f"{path}, line {line}: the key {name} stands twice; remove one")


def check_results_dir(path: str) -> None:
    """Check that results can go to a folder.

    Raises:
        InputError: it is the root or the working directory itself, is not a folder, or would make a
            folder called `~`.
    """
    if not path.strip("/") or Path(path) == Path():
        raise InputError(f"results_dir is {path!r}; name a folder of its own, such as results")
    if path.startswith("~"):
        raise InputError(f"results_dir is {path!r}; write the path without ~")
    if Path(path).exists() and not Path(path).is_dir():
        raise InputError(f"results_dir is {path!r}, which is a file; name a folder")


def check_names(subjects: Collection[str], prompts: Collection[str], strengths: Any) -> None:
    """Check that no chosen name is one that the results use for something else.

    Raises:
        InputError: a name is taken.
    """
    for kind, names, reserved in (
        ("subject", subjects, RESERVED_SUBJECTS),
        ("prompt", prompts, RESERVED_PROMPTS),
        ("strength", strengths, RESERVED_PROMPTS),
    ):
        for name in names:
            if str(name).lower() in reserved:
                raise InputError(
                    f"a {kind} is called {name!r}, which the results use for something else; rename"
                    f" it (taken are {', '.join(reserved)})"
                )


def check_operators(named: Iterable[tuple[str, str]]) -> None:
    """Check the operators that prompts of procedural heads name.

    Args:
        named: Pairs of what names an operator, and the operator, empty for none.

    Raises:
        InputError: one is unknown.
    """
    known = _operators()
    for where, name in named:
        if name and name not in known:
            raise InputError(
                f"{where} names the operator {name!r}, which is unknown; choose one of"
                f" {', '.join(known)}, or leave it empty"
            )


def check_ratings(path: str | Path) -> None:
    """Check the table of ratings, which is read only when all avatars are made.

    Raises:
        InputError: the file or a column is missing, or a quality is not a number.
    """
    for row in read_rows(path, given_by("the config key summary.ratings"), _RATED):
        quality = row["quality"].strip()
        if quality and not _is_number(quality):
            name = " ".join(row[key] for key in _RATED[:3])
            raise InputError(
                f"{path}: the quality of {name} is {quality!r}, not a number; correct it"
            )


def fill_in(config: MutableMapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Add what a configuration lacks from the defaults, in place and section by section."""
    for key, value in defaults.items():
        if key not in config:
            config[key] = copy.deepcopy(value)
        elif isinstance(value, Mapping) and isinstance(config[key], MutableMapping):
            fill_in(config[key], value)


def read_defaults(path: str | Path) -> dict[str, Any]:
    """The settings of headstyle's own `config.yaml`."""
    return _read_own(path)


def find_table(path: str, home: str | Path) -> str:
    """Where a table that the configuration names lies.

    Args:
        path: As the configuration names it.
        home: The folder of the workflow's own `config`.

    Returns:
        `path` where the working directory has it, or where no place has it; otherwise the path
        below `home`.
    """
    beside = Path(home, path)
    return str(beside) if beside.is_file() and not Path(path).exists() else path


def fill_in_declared(config: dict[str, Any]) -> None:
    """Give each declared setting that a checked configuration lacks its default, in place."""
    for name, settings in declared_sections().items():
        fill_in_defaults(config[name], settings)


def read_checked_rows(path: str | Path, key: str, schema_path: str | Path) -> dict[str, Row]:
    """Read a tab-separated table as {row key: row}; cells are text, empty where missing.

    A quoted cell may hold quotes (doubled), tabs and newlines. Spaces at its ends do not count.

    Raises:
        InputError: the file is missing, a column is unknown or missing, a cell is not allowed, or
            a key stands twice.
    """
    rows = read_rows(path, given_by(f"the config key {key}s_table"), delimiter="\t")
    if not rows:
        raise InputError(f"the table {path} has no rows; add one per {key}")
    schema = _read_own(schema_path)
    table: dict[str, Row] = {}
    for number, row in enumerate(rows, start=2):
        row = {column: cell.strip(" ") for column, cell in row.items()}
        problems = problems_of(row, schema)
        if problems:
            raise InputError(f"{path}, row {number}: " + "; ".join(problems))
        if row[key] in table:
            raise InputError(f"{path}, row {number}: {key} {row[key]!r} stands twice; rename one")
        table[row[key]] = row
    return table


def check_selection(key: str, chosen: Sequence[str], known: Collection[str], where: str) -> None:
    """Check that each chosen name (config key `key`) is known (stands in `where`) and chosen once.

    Raises:
        InputError: a name is unknown or repeated.
    """
    for name in chosen:
        if name not in known:
            names = ", ".join(known)
            raise InputError(f"{key} names {name!r}, which {where} lacks; known are: {names}")
        if list(chosen).count(name) > 1:
            raise InputError(f"{key} names {name!r} twice; remove one")


def _read_own(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of headstyle's own, by libyaml where it is there: in a tenth of the time."""
    safe_loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(Path(path).read_bytes(), Loader=safe_loader))


def _keys_twice(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[yaml.ScalarNode, str]]:
    """The keys of a YAML file that stand twice in their section, with their dotted names."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _keys_twice(item, seen)
    elif isinstance(node, yaml.MappingNode):
        known = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    yield key, key.value
                known.add(key.value)
            for inner, name in _keys_twice(value, seen):
                yield inner, f"{key.value}.{name}"


def _operators() -> list[str]:
    """The names of the operators, read without importing the heads, which takes seconds."""
    path = _LIBRARY / "capture" / "operators" / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "OPERATORS":
            table = next(part for part in ast.walk(node) if isinstance(part, ast.Dict))
            return [ast.literal_eval(key) for key in table.keys if key is not None]
    raise InputError(f"{path} declares no OPERATORS; get headstyle again")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_whole(_: Any, value: Any) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return is_int and abs(value) < _LARGEST


def _is_finite(_: Any, value: Any) -> bool:
    return _is_whole(None, value) or (isinstance(value, float) and math.isfinite(value))


def _matches(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """As JSON Schema has it, but in Python `$` also stands before a newline at the end."""
    whole = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(whole, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _ascends(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    numbers = isinstance(value, list) and all(_is_finite(None, number) for number in value)
    if wanted and numbers and value != sorted(value):
        yield jsonschema.ValidationError(f"{value!r} does not ascend")


_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {"pattern": _matches, "ascending": _ascends},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_finite, "integer": _is_whole}
    ),
)


def problems_of(content: Any, schema: dict[str, Any]) -> list[str]:
    """One sentence for everything in some content that a schema does not allow."""
    validator = _Validator(schema)
    errors = sorted(validator.iter_errors(content), key=lambda error: [str(p) for p in error.path])
    return list(dict.fromkeys(line for error in errors for line in _sentences(error)))


def _sentences(error: jsonschema.ValidationError) -> list[str]:
    key = ".".join(str(part) for part in error.absolute_path)
    schema: Any = error.schema
    wanted: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        return [
            f"{_join(key, name)} is an unknown key; known here: {', '.join(known)}"
            for name in found
            if name not in known
        ]
    if error.validator == "required":
        return [f"{_join(key, name)} is missing" for name in wanted if name not in found]
    if error.validator == "ascending":
        return [f"{key} is {found!r}; put the smaller number first"]
    if found is None:
        return [f"{key} is null; remove the key for its default, or write {describe(schema)}"]
    return [f"{key} is {found!r}; allowed: {describe(schema)}"]


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else str(name)


def describe(schema: Mapping[str, Any]) -> str:
    """What a schema allows, in words (`integer, at least 1`)."""
    if "description" in schema:
        return str(schema["description"])
    if "enum" in schema:
        return "one of " + ", ".join("null" if v is None else str(v) for v in schema["enum"])
    kinds = schema.get("type", "any value")
    words = [" or ".join(kinds) if isinstance(kinds, list) else kinds]
    limits = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "minItems": "{} or more entries",
        "maxItems": "{} entries at most",
        "minLength": "{} or more characters",
        "pattern": "matching {}",
    }
    words += [text.format(schema[name]) for name, text in limits.items() if name in schema]
    if schema.get("uniqueItems"):
        words.append("no entry twice")
    if isinstance(schema.get("items"), Mapping):
        words.append("each " + describe(schema["items"]))
    return ", ".join(words)


def check_subject(row: Row, table: str) -> None:
    """Check what a subject's row says together: a procedural head has a seed, others photographs.

    Raises:
        InputError: a cell is missing, or a path in the row does not exist.
    """
    where = f"{table}, subject {row['subject']}"
    if row["source"] == "procedural":
        if not row.get("seed"):
            raise InputError(f"{where}: the column seed is empty; a procedural head needs a seed")
        return
    if not row.get("photographs"):
        raise InputError(f"{where}: the column photographs is empty; name the folder they are in")
    for column in ("photographs", "masks", "poses", "rig", "splats"):
        path = row.get(column)
        if path and path != "none" and not Path(path).exists():
            raise InputError(f"{where}: {column} {path} does not exist; correct the path")
    # The state of a training is of the subject's own.
    if not row.get("poses") and not (row.get("splats") or _STATE).endswith(_STATE):
        raise InputError(
            f"{where}: the column splats needs the column poses, as splats lie in the world of"
            " their cameras"
        )
