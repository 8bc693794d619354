"""What each subject's avatars were asked to become, from the tables of subjects and prompts."""

import csv
from collections.abc import Sequence
from pathlib import Path

from headstyle.report.sheets import Avatar


def read_prompts(path: str | Path) -> dict[str, dict[str, str]]:
    """Rows of the prompts table by their identifier. The table was checked before any job."""
    return _rows(path, "prompt")


def avatars_of(
    subject: str,
    folder: Path,
    prompts_table: str | Path,
    subjects_table: str | Path,
    prompts: Sequence[str],
    strengths: Sequence[str],
) -> list[Avatar]:
    """All avatars of a subject, whose folder is `folder`, with their instructions."""
    texts = _rows(prompts_table, "prompt")
    pronoun = _rows(subjects_table, "subject")[subject].get("pronoun") or "them"
    return [
        Avatar(
            name=f"{prompt}_{strength}",
            folder=folder / "avatars" / f"{prompt}_{strength}",
            prompt=prompt,
            prompt_name=texts[prompt].get("name", ""),
            prompt_text=texts[prompt]["text"].replace("{pronoun}", pronoun),
            strength=strength,
        )
        for prompt in prompts
        for strength in strengths
    ]


def _rows(path: str | Path, key: str) -> dict[str, dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return {row[key]: row for row in csv.DictReader(file, dialect="excel-tab", restval="")}
