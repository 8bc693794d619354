"""From photographs to masked, calibrated, downscaled views and the graph of adjacent cameras."""


rule mask_views:
    input:
        photographs=subject_photographs,
        made=subject_made_photographs,
    output:
        folder=directory(f"{R}/{{subject}}/masks"),
        masks=f"{R}/{{subject}}/masks/masks.json",
    log:
        f"{R}/logs/{{subject}}/mask_views.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/mask_views.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(4_000),
        runtime=needs.minutes(20, per_view=1),
    params:
        photographs=lambda wildcards: subject_folder(wildcards.subject),
        braced=lambda wildcards: braced_files(photographs.get(wildcards.subject, ())),
        orientation=config["photographs"]["orientation"],
        go_on=config["poses"]["go_on"],
        min_views=config["poses"]["min_views"],
        given_masks=lambda wildcards: subjects[wildcards.subject].get("masks", ""),
        given_poses=lambda wildcards: subjects[wildcards.subject].get("poses", ""),
        masks=keys_of(
            "masks", "steps", "matting_model", "matting_weights", "chroma_key", "min_coverage"
        ),
        library=library_digest("mask_views"),
    message:
        "Masking the photographs of {wildcards.subject}"
    script:
        "../workflow_scripts/mask_views.py"


rule estimate_poses:
    input:
        masks=rules.mask_views.output.masks,
        mask_images=rules.mask_views.output.folder,
        capture=subject_capture,
    output:
        sparse=directory(f"{R}/{{subject}}/poses/sparse"),
        poses=f"{R}/{{subject}}/poses/poses.json",
    log:
        f"{R}/logs/{{subject}}/estimate_poses.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/estimate_poses.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: share_of_cores(len(SUBJECTS))
    resources:
        mem_mb=needs.memory(3_000, images=4),
        runtime=needs.minutes(60, per_pair=0.27),
    params:
        poses=config["poses"],
        max_views=config["photographs"]["max_views"],
        given_poses=lambda wildcards: subjects[wildcards.subject].get("poses", ""),
        seed=config["seed"],
        library=library_digest("estimate_poses"),
    message:
        "Estimating the camera poses of {wildcards.subject}"
    script:
        "../workflow_scripts/estimate_poses.py"


rule agree_masks:
    input:
        masks=rules.mask_views.output.masks,
        mask_images=rules.mask_views.output.folder,
        capture=subject_capture,
        poses=rules.estimate_poses.output.poses,
        sparse=rules.estimate_poses.output.sparse,
    output:
        folder=directory(f"{R}/{{subject}}/agreed_masks"),
        masks=f"{R}/{{subject}}/agreed_masks/masks.json",
    log:
        f"{R}/logs/{{subject}}/agree_masks.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/agree_masks.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=4_000,
        runtime="1h",
    params:
        agreement=config["masks"]["agreement"],
        library=library_digest("agree_masks"),
    message:
        "Correcting the masks of {wildcards.subject} by the other views"
    script:
        "../workflow_scripts/agree_masks.py"


rule compare_poses:
    input:
        poses=rules.estimate_poses.output.poses,
        sparse=rules.estimate_poses.output.sparse,
        rig=rules.synthesize_capture.output.rig,
        capture=rules.synthesize_capture.output.folder,
    output:
        truth=f"{R}/{{subject}}/poses/truth.json",
    log:
        f"{R}/logs/{{subject}}/compare_poses.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/compare_poses.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=with_attempt(1_000),
        runtime=with_attempt(10),
    params:
        library=library_digest("compare_poses"),
    message:
        "Comparing the estimated poses of {wildcards.subject} with the true ones"
    script:
        "../workflow_scripts/compare_poses.py"


rule downscale_views:
    input:
        masks=subject_masks,
        mask_images=subject_mask_images,
        poses=rules.estimate_poses.output.poses,
        sparse=rules.estimate_poses.output.sparse,
        capture=subject_capture,
    output:
        folder=directory(f"{R}/{{subject}}/views"),
        cameras=f"{R}/{{subject}}/views/cameras.json",
    log:
        f"{R}/logs/{{subject}}/downscale_views.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/downscale_views.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(2_000),
        runtime=needs.minutes(20, per_view=1),
    params:
        images=config["images"],
        given_poses=lambda wildcards: subjects[wildcards.subject].get("poses", ""),
        library=library_digest("downscale_views"),
    message:
        "Undistorting and downscaling the views of {wildcards.subject}"
    script:
        "../workflow_scripts/downscale_views.py"


rule camera_adjacency:
    input:
        cameras=rules.downscale_views.output.cameras,
        rig=subject_rig,
    output:
        adjacency=f"{R}/{{subject}}/adjacency.csv",
        plot=report(
            f"{R}/{{subject}}/adjacency.png",
            caption="../report/adjacency.rst",
            category="2 Subjects",
            subcategory="{subject}",
            labels={"figure": "4 rig and adjacency"},
        ),
    log:
        f"{R}/logs/{{subject}}/camera_adjacency.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/camera_adjacency.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=with_attempt(1_000),
        runtime=with_attempt(10),
    params:
        adjacency=config["adjacency"],
        library=library_digest("camera_adjacency"),
    message:
        "Connecting each camera of {wildcards.subject} to its neighbors"
    script:
        "../workflow_scripts/camera_adjacency.py"
