"""Pack a study that is done into one RO-Crate.

Input:  tables, report, splats, cameras, runs   what the study made
        subjects, prompts, ratings              the study's tables of input
Output: archive                                 ZIP with descriptions and checksums
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from headstyle.base.errors import InputError
from headstyle.workflow.archive.packing import Source, pack
from headstyle.workflow.archive.versions import versions_text
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

ABOUT = {
    "tables": "Table of the study",
    "report": "Page or figure of the report",
    "splats": "Scene: Gaussian splats or a radiance field",
    "cameras": "Cameras of the views",
    "runs": "How the avatar was made",
}
GIVEN = {"subjects": "The subjects", "prompts": "The prompts", "ratings": "Human ratings"}


def settings_sources(config: dict[str, Any], given: Any) -> Iterator[Source]:
    """The settings with all defaults, the tables of input, and the versions of all programs."""
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
    yield Source("config/settings.yaml", text, "All settings of the study", is_setting=True)
    for key, about in GIVEN.items():
        if path := given.get(key):
            name = f"config/{key}{Path(path).suffix}"
            yield Source(name, Path(path), about, is_setting=True)
    versions = versions_text(Path(__file__).resolve().parent)
    yield Source("versions.txt", versions, "Versions of all programs", is_setting=True)


def result_sources(results: Path, made: Any) -> Iterator[Source]:
    """What the study made, at the places that it has in the results folder."""
    for key, about in ABOUT.items():
        for path in sorted(map(Path, made.get(key, []))):
            name = path.relative_to(results).as_posix()
            yield Source(f"results/{name}", path, f"{about}: {name}")


def check_report(report: Path, tables: list[str]) -> None:
    """A report that was written before the tables shows other numbers than they do.

    Raises:
        InputError: the report is older than a table.
    """
    if report.exists() and any(
        report.stat().st_mtime < Path(table).stat().st_mtime for table in tables
    ):
        raise InputError(
            f"{report} is older than the tables; write it again with"
            f" `snakemake --report {report}`, or delete it to archive the study without it"
        )


if __name__ == "__main__":
    with stage(snakemake) as log:
        made, results = snakemake.input, Path(snakemake.output.archive).parent
        check_report(results / "report.html", list(made.tables))
        sources = [*settings_sources(snakemake.config, made), *result_sources(results, made)]
        members = pack(Path(snakemake.output.archive), sources, snakemake.params.subjects)
        size = sum(member.size for member in members)
        log.info("%d files, %.1f MB", len(members), size / 1e6)
