"""The whole study as one file with checksums. This rule runs only as a named target."""


# `snakemake --cores 1 archive`; `headstyle verify` checks the file.
rule archive:
    input:
        tables=study_tables(),
        report=archived_pages,
        splats=archived(SCENE_FILE),
        cameras=archived_cameras,
        runs=archived("run.json", of_baselines=False),
        subjects=SUBJECTS_TABLE,
        prompts=PROMPTS_TABLE,
        ratings=RATINGS,
    output:
        archive=f"{R}/archive.zip",
    log:
        f"{R}/logs/archive.log",
    benchmark:
        f"{R}/benchmarks/archive.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="2h",
    params:
        subjects=SUBJECTS,
        settings=settings_digest(),
        library=library_digest("archive"),
    message:
        "Packing the study into one file"
    script:
        "../workflow_scripts/archive.py"
