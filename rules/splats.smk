"""The unstylized scene of each subject: Gaussian splats, or a radiance field."""


rule train_baseline:
    input:
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        known=subject_splats,
    output:
        splats=f"{R}/{{subject}}/baseline/{SCENE_FILE}",
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
        mem_mb=needs.memory(2_500, images=4, splats=1),
        runtime=needs.minutes(60, per_megapixel=12),
    params:
        baseline=config["baseline"],
        # Which views a data set holds out itself, it tells beside its cameras.
        given_poses=lambda wildcards: (
            subjects[wildcards.subject].get("poses", "")
            if config["baseline"]["holdout"] == "splits"
            else ""
        ),
        nerf=NERF,
        seed=config["seed"],
        library=library_digest("train_baseline"),
    message:
        "Training the scene of {wildcards.subject}"
    script:
        "../workflow_scripts/train_baseline.py"
