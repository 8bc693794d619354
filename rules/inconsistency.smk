"""Where on the head an avatar's views disagree: a value per splat, and pictures of it."""


rule map_inconsistency:
    input:
        splats=of_splats_alone(f"{R}/{{subject}}/avatars/{{avatar}}/splats.ply"),
        images=f"{R}/{{subject}}/avatars/{{avatar}}/renders",
        depth=f"{R}/{{subject}}/avatars/{{avatar}}/depth",
        cameras=rules.downscale_views.output.cameras,
        adjacency=rules.camera_adjacency.output.adjacency,
        unedited=rules.train_baseline.output.renders,
    output:
        splats=f"{R}/{{subject}}/avatars/{{avatar}}/inconsistency.ply",
        summary=f"{R}/{{subject}}/avatars/{{avatar}}/inconsistency.json",
        picture=report(
            f"{R}/plots/{{subject}}/inconsistency_{{avatar}}.jpg",
            caption="../report/inconsistency.rst",
            category="3 Avatars",
            subcategory="{subject}",
            labels={"figure": "5 where views disagree", "avatar": "{avatar}"},
        ),
    log:
        f"{R}/logs/{{subject}}/map_inconsistency_{{avatar}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/map_inconsistency_{{avatar}}.tsv"
    wildcard_constraints:
        avatar=any_of(AVATARS),
    conda:
        "../envs/calibration.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(AVATARS))
    resources:
        gpu=1,
        mem_mb=needs.memory(2_500, images=8, splats=1),
        runtime=needs.minutes(20, per_megapixel=1),
    params:
        title=lambda wildcards: wildcards.avatar.replace("_", " "),
        metrics=keys_of(
            "metrics",
            "depth_tolerance",
            "depth_jump",
            "round_trip_px",
            "min_overlap",
            "foreground_alpha",
        ),
        library=library_digest("map_inconsistency"),
    message:
        "Mapping where the views of {wildcards.subject}, {wildcards.avatar}, disagree"
    script:
        "../workflow_scripts/map_inconsistency.py"


# `snakemake --cores all decompose_avatars`.
rule decompose_avatars:
    input:
        cameras=of_subjects("views/cameras.json"),
        view_images=of_subjects("views"),
        adjacency=of_subjects("adjacency.csv"),
        baselines=of_subjects("baseline/renders"),
        depth=of_subjects("baseline/depth"),
        renders=expand(f"{R}/{{s}}/avatars/{{avatar}}/renders", s=SUBJECTS, avatar=AVATARS),
        edits=expand(f"{R}/{{s}}/avatars/{{avatar}}/edits", s=SUBJECTS, avatar=AVATARS),
        kinds=expand(
            f"{R}/{{s}}/avatars/{{avatar}}/consistency/kinds.npz", s=SUBJECTS, avatar=AVATARS
        ),
    output:
        table=f"{R}/tables/decomposition.csv",
        page=f"{R}/plots/decomposition.html",
    log:
        f"{R}/logs/decompose_avatars.log",
    benchmark:
        f"{R}/benchmarks/decompose_avatars.tsv"
    conda:
        "../envs/calibration.yaml"
    threads: available_cores(workflow)
    resources:
        gpu=1,
        mem_mb=needs.memory(2_500, images=12),
        runtime=needs.minutes(60, per_megapixel=3),
    params:
        prompts=PROMPTS,
        strengths=STRENGTHS,
        metrics=MEASURED,
        assets=page_assets(),
        library=library_digest("decompose_avatars"),
    message:
        "Decomposing what the edits of the avatars disagree in"
    script:
        "../workflow_scripts/decompose_avatars.py"
