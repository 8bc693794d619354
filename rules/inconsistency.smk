"""Where on the head an avatar's views disagree: a value per splat, and pictures of it."""


rule map_inconsistency:
    input:
        splats=f"{R}/{{subject}}/avatars/{{avatar}}/splats.ply",
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
