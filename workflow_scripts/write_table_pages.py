"""Write the study's tables as pages to read, sort and filter.

Input:  avatars, views, strengths   the study's tables
        thresholds, agreement       the same, if there are human ratings
        poses, truth, baselines   poses.json, truth.json (procedural heads), metrics.json
Output: one HTML page per table, and poses, baseline, settings
"""

from headstyle import summaries
from headstyle.pages import flat_settings, table_page, write_page
from headstyle.stage import stage
from headstyle.tables import read_rows

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        pages = dict(snakemake.output.items())
        rows = {name: read_rows(paths[name]) for name in summaries.STUDY_PAGES if name in pages}
        rows["poses"] = summaries.poses_rows(params.subjects, paths.poses, paths.get("truth", []))
        rows["baseline"] = summaries.baseline_rows(params.subjects, paths.baselines)
        rows["settings"] = flat_settings(snakemake.config)
        for name, path in pages.items():
            title, intro, empty = summaries.PAGES[name]
            write_page(path, table_page(title, intro, rows[name], empty))
            log.info("%s: %d rows", title, len(rows[name]))
