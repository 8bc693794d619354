"""Calibration of the metrics by ladders of known inconsistency and by traps, which are harmless."""

CALIBRATED = config["calibration"]["captures"]
CALIBRATED = SUBJECTS if CALIBRATED is None else CALIBRATED


rule calibrate_metrics:
    input:
        cameras=expand(f"{R}/{{subject}}/views/cameras.json", subject=CALIBRATED),
        view_images=expand(f"{R}/{{subject}}/views", subject=CALIBRATED),
        renders=expand(f"{R}/{{subject}}/baseline/renders", subject=CALIBRATED),
        depth=expand(f"{R}/{{subject}}/baseline/depth", subject=CALIBRATED),
    output:
        metrics=f"{R}/tables/calibration.csv",
        traps=f"{R}/tables/calibration_traps.csv",
        scores=f"{R}/tables/calibration_scores.csv",
        figures=[
            f"{R}/plots/calibration/{name}.png" for name in ("ladders", "seen", "traps", "climbs")
        ],
        page=report(
            f"{R}/tables/calibration.html",
            caption="../report/calibration.rst",
            category="7 Calibration",
            labels={"table": "calibration"},
        ),
    log:
        f"{R}/logs/calibrate_metrics.log",
    benchmark:
        f"{R}/benchmarks/calibrate_metrics.tsv"
    conda:
        "../envs/calibration.yaml"
    threads: available_cores(workflow)
    resources:
        gpu=1,
        mem_mb=per_thread(1_500),
        runtime=with_attempt(240),
    params:
        captures=CALIBRATED,
        calibration=config["calibration"],
        metrics=MEASURED,
        folder=f"{R}/calibration",
        assets=page_assets(),
        library=library_digest("calibrate_metrics"),
    message:
        "Calibrating the metrics on ladders of known inconsistency"
    script:
        "../workflow_scripts/calibrate_metrics.py"


rule calibrate_trained:
    output:
        metrics=f"{R}/tables/calibration_trained.csv",
        traps=f"{R}/tables/calibration_trained_traps.csv",
        scores=f"{R}/tables/calibration_trained_scores.csv",
    log:
        f"{R}/logs/calibrate_trained.log",
    benchmark:
        f"{R}/benchmarks/calibrate_trained.tsv"
    conda:
        "../envs/calibration.yaml"
    threads: available_cores(workflow)
    resources:
        gpu=1,
        mem_mb=per_thread(2_500),
        runtime=with_attempt(600),
    params:
        calibration=config["calibration"]["trained"],
        baseline=config["baseline"],
        stylization=config["stylization"],
        metrics=MEASURED,
        folder=f"{R}/calibration_trained",
        library=library_digest("calibrate_trained"),
    message:
        "Calibrating the metrics on avatars that were trained on edits of known inconsistency"
    script:
        "../workflow_scripts/calibrate_trained.py"


# `snakemake --cores all metric_kit`: what is in `kit` may be given away.
rule metric_kit:
    output:
        kit=f"{R}/metric_kit/kit/kit.json",
        sums=f"{R}/metric_kit/kit/SHA256SUMS",
        levels=f"{R}/metric_kit/hidden/levels.csv",
        ours=f"{R}/metric_kit/hidden/ours.csv",
    log:
        f"{R}/logs/metric_kit.log",
    benchmark:
        f"{R}/benchmarks/metric_kit.tsv"
    conda:
        "../envs/calibration.yaml"
    threads: available_cores(workflow)
    resources:
        gpu=1,
        mem_mb=per_thread(2_500),
        runtime=with_attempt(300),
    params:
        metric_kit=config["metric_kit"],
        calibration=config["calibration"],
        baseline=config["baseline"],
        stylization=config["stylization"],
        metrics=MEASURED,
        library=library_digest("metric_kit"),
    message:
        "Writing the kit to certify metrics with"
    script:
        "../workflow_scripts/metric_kit.py"


# `snakemake --cores 1 certify`.
rule certify:
    input:
        levels=rules.metric_kit.output.levels,
        ours=rules.metric_kit.output.ours,
        answers=config["certify"]["csv"] or [],
    output:
        page=f"{R}/tables/certificate.html",
        table=f"{R}/tables/certificate.tsv",
    log:
        f"{R}/logs/certify.log",
    benchmark:
        f"{R}/benchmarks/certify.tsv"
    localrule: True
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        certify=config["certify"],
        assets=page_assets(),
        library=library_digest("certify"),
    message:
        "Judging a metric by the values that it gave to the kit"
    script:
        "../workflow_scripts/certify.py"
