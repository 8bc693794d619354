"""Write the study's tables as pages to read, sort and filter.

Input:  avatars, views, thresholds, strengths, agreement   the study's tables
        poses, truth, baselines   poses.json, truth.json (procedural heads), metrics.json
Output: avatars, views, thresholds, strengths, agreement, poses, baseline, settings   HTML pages
"""

from headstyle import summaries
from headstyle.pages import flat_settings, table_page, write_page
from headstyle.stage import stage
from headstyle.tables import read_rows

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, pages, params = snakemake.input, snakemake.output, snakemake.params
        rows = {name: read_rows(paths[name]) for name in summaries.STUDY_PAGES}
        rows["poses"] = summaries.poses_rows(params.subjects, paths.poses, paths.get("truth", []))
        rows["baseline"] = summaries.baseline_rows(params.subjects, paths.baselines)
        rows["settings"] = flat_settings(snakemake.config)
        for name, (title, intro, empty) in summaries.PAGES.items():
            write_page(pages[name], table_page(title, intro, rows[name], empty))
            log.info("%s: %d rows", title, len(rows[name]))
