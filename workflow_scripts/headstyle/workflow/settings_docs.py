"""The reference of the settings that metrics, editors and schedules declare, as Markdown.

`python -m headstyle.workflow.settings_docs docs/settings.md` writes it. A test tells when the file
no longer says what the code does.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstyle.base.files import whole_file
from headstyle.base.settings import Setting
from headstyle.editing.registry import knob_settings
from headstyle.workflow.configuration import declared_sections, describe

INTRODUCTION = """\
# Settings of editors, schedules and metrics

This page is written by `python -m headstyle.workflow.settings_docs docs/settings.md` from the
declarations in the code. The other sections are explained in `config/config.yaml`.

A configuration may leave out any of these settings; the default is then used. An unknown name or a
value that is not allowed stops the run before any job starts. A dot leads into a subsection:
`control.operations` of the section `editing` is written

```yaml
editing:
  control:
    operations: {}
```

The column *Read by* names the module that declares the setting; it is empty for settings that
concern the whole section. A change of a setting marked *machine* redoes no results.
"""

KNOBS = """\
## strengths

An editor with knobs of its own takes them from each strength, such as
`low: {flux2_klein: {text_guidance: 2.5}}`. A knob that a strength leaves out has its default.
"""


def settings_reference(sections: Mapping[str, Iterable[Setting]]) -> str:
    """One table of each section's settings, as Markdown.

    Args:
        sections: Settings by the section of the configuration that they stand in.
    """
    parts = [_section(*section) for section in sections.items()]
    return "\n".join([INTRODUCTION, *parts, KNOBS, _table(knob_settings())])


def _section(name: str, settings: Iterable[Setting]) -> str:
    return f"## {name}\n\n{_table(settings)}"


def _table(settings: Iterable[Setting]) -> str:
    head = ["Setting", "Default", "Allowed", "Read by", "Meaning"]
    rows = [head, ["---"] * len(head), *(_row(setting) for setting in settings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(setting: Setting) -> list[str]:
    meaning = f"{setting.meaning} *machine*" if setting.machine else setting.meaning
    owner = "" if setting.owner in ("", "settings") else f"`{setting.owner}`"
    cells = [f"`{setting.name}`", f"`{json.dumps(setting.default)}`", _allowed(setting.schema)]
    # A bar would end the cell.
    return [cell.replace("|", "\\|") for cell in (*cells, owner, meaning)]


def _allowed(schema: Mapping[str, Any]) -> str:
    words = describe(schema)
    if isinstance(schema.get("additionalProperties"), Mapping):
        words += ", each value " + describe(schema["additionalProperties"])
    return f"`{words}`" if "^" in words else words


if __name__ == "__main__":
    [place] = sys.argv[1:]
    with whole_file(Path(place)) as partial:
        partial.write_text(settings_reference(declared_sections()), encoding="utf-8")
