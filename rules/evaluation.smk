"""How well the baselines show their photographs. These rules run only for a named target."""


# For example `snakemake --cores all results/A/baseline/evaluation.csv`.
rule evaluate_baseline:
    input:
        splats=rules.train_baseline.output.splats,
        metrics=rules.train_baseline.output.metrics,
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
    output:
        table=f"{R}/{{subject}}/baseline/evaluation.csv",
        facts=f"{R}/{{subject}}/baseline/evaluation.json",
    log:
        f"{R}/logs/{{subject}}/evaluate_baseline.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/evaluate_baseline.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: share_of_cores(len(SUBJECTS))
    resources:
        gpu=1,
        mem_mb=4_000,
        runtime="1h",
    params:
        subject="{subject}",
        backgrounds=config["evaluation"]["backgrounds"],
        metrics=keys_of("metrics", "lpips_net", "lpips_weights"),
        seed=config["seed"],
        library=library_digest("evaluate_baseline"),
    message:
        "Evaluating the baseline of {wildcards.subject}"
    script:
        "../workflow_scripts/evaluate_baseline.py"


# `snakemake --cores all full_evaluation`.
rule full_evaluation:
    input:
        tables=of_subjects("baseline/evaluation.csv"),
        facts=of_subjects("baseline/evaluation.json"),
    output:
        table=f"{R}/tables/evaluation.csv",
    log:
        f"{R}/logs/full_evaluation.log",
    benchmark:
        f"{R}/benchmarks/full_evaluation.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="10m",
    params:
        library=library_digest("full_evaluation"),
    message:
        "Collecting the evaluations of all baselines in one table"
    script:
        "../workflow_scripts/full_evaluation.py"
