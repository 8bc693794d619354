"""The instructions of each subject's avatars, from the tables of subjects and prompts."""

from collections.abc import Sequence
from pathlib import Path

from headstyle.base.errors import given_by
from headstyle.base.study import instruction_text
from headstyle.base.tables.rows import read_rows
from headstyle.report.sheets import Avatar


def read_prompts(path: str | Path) -> dict[str, dict[str, str]]:
    """Rows of the prompts table by identifier. The workflow checked the table before any job."""
    return _rows(path, "prompt")


def avatars_of(
    subject: str,
    folder: Path,
    prompts_table: str | Path,
    subjects_table: str | Path,
    prompts: Sequence[str],
    strengths: Sequence[str],
) -> list[Avatar]:
    """All avatars in a subject's `folder`, with their instructions."""
    texts = _rows(prompts_table, "prompt")
    pronoun = _rows(subjects_table, "subject")[subject].get("pronoun")
    return [
        Avatar(
            name=f"{prompt}_{strength}",
            folder=folder / "avatars" / f"{prompt}_{strength}",
            prompt=prompt,
            prompt_name=texts[prompt].get("name", ""),
            prompt_text=instruction_text(texts[prompt]["text"], pronoun),
            strength=strength,
        )
        for prompt in prompts
        for strength in strengths
    ]


def _rows(path: str | Path, key: str) -> dict[str, dict[str, str]]:
    origin = given_by(f"the config key {key}s_table")
    return {row[key]: row for row in read_rows(path, origin, [key], delimiter="\t")}
