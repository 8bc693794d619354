"""The unstylized Gaussian-splat scene of each subject."""


rule train_baseline:
    input:
        cameras=rules.downscale_views.output.cameras,
    output:
        splats=f"{R}/{{subject}}/baseline/splats.ply",
        renders=directory(f"{R}/{{subject}}/baseline/renders"),
        depth=directory(f"{R}/{{subject}}/baseline/depth"),
        history=f"{R}/{{subject}}/baseline/history.tsv",
        metrics=f"{R}/{{subject}}/baseline/metrics.json",
    log:
        f"{R}/logs/{{subject}}/train_baseline.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/train_baseline.tsv"
    conda:
        "../envs/splats.yaml"
    threads: share_of_cores(len(SUBJECTS))
    resources:
        gpu=1,
        mem_mb=4_000,
        runtime="4h",
    params:
        baseline=config["baseline"],
        seed=config["seed"],
        library=library_digest("train_baseline"),
    message:
        "Training the Gaussian splats of {wildcards.subject}"
    script:
        "../workflow_scripts/train_baseline.py"


# Runs only for a named target, e.g. `snakemake --cores 1 results/A/baseline/splats.splat`.
rule export_splats:
    input:
        splats=f"{R}/{{scene}}/splats.ply",
    output:
        exported=f"{R}/{{scene}}/splats.splat",
    log:
        f"{R}/logs/{{scene}}/export_splats.log",
    benchmark:
        f"{R}/benchmarks/{{scene}}/export_splats.tsv"
    wildcard_constraints:
        scene=r"[^/]+/(baseline|avatars/[^/]+)",
    conda:
        "../envs/splats.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="10m",
    params:
        library=library_digest("export_splats"),
    message:
        "Exporting the splats of {wildcards.scene} for web viewers"
    script:
        "../workflow_scripts/export_splats.py"
