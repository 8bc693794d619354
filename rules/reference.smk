"""The published study's figures. These rules run only for a named target."""

from headstyle.base.study import REFERENCE_FIGURES


# `snakemake --cores 1 reference_figures`.
rule reference_figures:
    input:
        metrics=local(HOME / "resources" / "reference" / "thesis_metrics.csv"),
    output:
        figures=expand(
            "results/reference/plots/{figure}.{kind}",
            figure=REFERENCE_FIGURES,
            kind=["png", "svg"],
        ),
    log:
        "results/reference/logs/reference_figures.log",
    benchmark:
        "results/reference/benchmarks/reference_figures.tsv"
    localrule: True
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("reference_figures"),
    message:
        "Drawing the published study's figures from its published numbers"
    script:
        "../workflow_scripts/reference_figures.py"


# `snakemake --cores all study_beside_reference`.
use rule reference_figures as study_beside_reference with:
    input:
        metrics=local(HOME / "resources" / "reference" / "thesis_metrics.csv"),
        avatars=rules.summarize.output.avatars,
    output:
        figures=expand(
            f"{R}/plots/reference/{{figure}}.{{kind}}",
            figure=REFERENCE_FIGURES,
            kind=["png", "svg"],
        ),
    log:
        f"{R}/logs/study_beside_reference.log",
    benchmark:
        f"{R}/benchmarks/study_beside_reference.tsv"
    message:
        "Drawing this study's figures below those of the published one"
