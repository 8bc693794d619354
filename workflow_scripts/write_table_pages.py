"""Write the study's tables as pages to read, sort and filter.

Input:  avatars, views, strengths   the study's tables
        thresholds, agreement       the same, if there are human ratings
        poses, truth, baselines   poses.json, truth.json (procedural heads), metrics.json
        study                       the settings of the study as published (YAML)
Output: one HTML page per table, and poses, baseline, settings
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from headstyle.base.errors import result_of
from headstyle.base.tables.rows import read_rows
from headstyle.report import summaries
from headstyle.report.labels import add_external
from headstyle.report.pages import settings_rows, table_page, write_page
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake


def read_yaml(path: str) -> dict[str, Any]:
    """A file of settings."""
    content: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    with stage(snakemake) as log:
        add_external(snakemake.params.external)
        paths, params = snakemake.input, snakemake.params
        pages = dict(snakemake.output.items())
        study = result_of("summarize")
        shown = [name for name in summaries.STUDY_PAGES if name in pages]
        rows = {name: read_rows(paths[name], study) for name in shown}
        rows["poses"] = summaries.poses_rows(params.subjects, paths.poses, paths.get("truth", []))
        rows["baseline"] = summaries.baseline_rows(params.subjects, paths.baselines)
        rows["settings"] = settings_rows(snakemake.config, read_yaml(paths.study))
        for name, path in pages.items():
            title, intro, empty = summaries.PAGES[name]
            write_page(path, table_page(title, intro, rows[name], empty))
            log.info("%s: %d rows", title, len(rows[name]))
