"""Calibration of the metrics by ladders of known inconsistency and by traps, which are harmless."""

CALIBRATED = config["calibration"]["captures"]
CALIBRATED = SUBJECTS if CALIBRATED is None else CALIBRATED


rule calibrate_metrics:
    input:
        cameras=expand(f"{R}/{{subject}}/views/cameras.json", subject=CALIBRATED),
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
