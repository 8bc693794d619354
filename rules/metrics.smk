"""Consistency of the views of each scene, and the study's tables."""


rule measure_consistency:
    input:
        images=scene_images,
        view_images=scene_photographs,
        depth=scene_depth,
        cameras=rules.downscale_views.output.cameras,
        adjacency=rules.camera_adjacency.output.adjacency,
        unedited=rules.train_baseline.output.renders,
        splats=[] if NERF else rules.train_baseline.output.splats,
        floor=scene_floor,
    output:
        pairs=f"{R}/{{subject}}/{{scene}}/consistency/pairs.csv",
        views=f"{R}/{{subject}}/{{scene}}/consistency/views.csv",
        kinds=f"{R}/{{subject}}/{{scene}}/consistency/kinds.npz",
    log:
        f"{R}/logs/{{subject}}/measure_consistency/{{scene}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/measure_consistency/{{scene}}.tsv"
    wildcard_constraints:
        scene=any_of(SCENES),
    conda:
        "../envs/metrics.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(SCENES))
    resources:
        gpu=1,
        mem_mb=needs.memory(2_500, images=18, splats=1),
        runtime=needs.minutes(20, per_megapixel=3),
    params:
        labels=scene_labels,
        instruction=scene_instruction,
        captions=scene_captions,
        metrics=MEASURED,
        seed=config["seed"],
        library=library_digest("measure_consistency"),
    message:
        "Measuring the consistency of {wildcards.subject}, {wildcards.scene}"
    script:
        "../workflow_scripts/measure_consistency.py"


rule summarize:
    input:
        views=[
            f"{R}/{subject}/{scene}/consistency/views.csv"
            for subject in SUBJECTS
            for scene in SCENES
        ],
        ratings=RATINGS,
        pairs=[
            f"{R}/{subject}/{scene}/consistency/pairs.csv"
            for subject in SUBJECTS
            for scene in SCENES
            if EXTERNAL
        ],
        external=[entry["path"] for entry in EXTERNAL.values()],
        films=[
            f"{R}/{subject}/{scene}/film/flicker.csv"
            for subject in SUBJECTS
            for scene in SCENES
            if config["summary"]["films"] and scene != "floor"
        ],
    output:
        **{table: study_table(table) for table in [*TABLES, *(["external"] if EXTERNAL else [])]},
    log:
        f"{R}/logs/summarize.log",
    benchmark:
        f"{R}/benchmarks/summarize.tsv"
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="30m",
    params:
        metrics=config["metrics"]["names"],
        external=EXTERNAL,
        elsewhere=list(FOREIGN) if EXTERNAL else [],
        strength_prompts=config["summary"]["strength_prompts"],
        confidence=config["summary"]["confidence"],
        bootstrap_resamples=config["summary"]["bootstrap_resamples"],
        seed=config["seed"],
        library=library_digest("summarize"),
    message:
        "Summarizing all scenes in the study's tables"
    script:
        "../workflow_scripts/summarize.py"


rule reference_tables:
    input:
        metrics=local(HOME / "resources" / "reference" / "thesis_metrics.csv"),
    output:
        thresholds="results/reference/tables/thresholds.csv",
        strengths="results/reference/tables/strengths.csv",
        agreement="results/reference/tables/agreement.csv",
    log:
        "results/reference/logs/reference_tables.log",
    benchmark:
        "results/reference/benchmarks/reference_tables.tsv"
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("reference_tables"),
    message:
        "Recomputing the published study's statistics from its published numbers"
    script:
        "../workflow_scripts/reference_tables.py"
