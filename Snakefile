"""From photographs of heads to a report on how multi-view consistent their stylized avatars are."""

from snakemake.utils import min_version

min_version("9.19")


configfile: workflow.source_path("config/config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"


containerized: IMAGE


include: "rules/figures.smk"
include: "rules/capture.smk"
include: "rules/cameras.smk"
include: "rules/splats.smk"
include: "rules/downloads.smk"
include: "rules/stylization.smk"
include: "rules/scenes.smk"
include: "rules/metrics.smk"
include: "rules/inconsistency.smk"
include: "rules/calibration.smk"
include: "rules/report.smk"
include: "rules/models.smk"
include: "rules/foreign.smk"
include: "rules/methods.smk"
include: "rules/leaderboard.smk"
include: "rules/evaluation.smk"
include: "rules/reference.smk"
include: "rules/exports.smk"
include: "rules/films.smk"
include: "rules/rigged.smk"
include: "rules/archive.smk"


rule all:
    default_target: True
    input:
        rules.check_models.output.models,
        study_tables(),
        report_outputs(),


plan_part()
