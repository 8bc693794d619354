"""Films of the scenes, and how much they flicker. These rules run only for a named target."""

from headstyle.exporters.camera_path import FRAMES

FILMED = ["baseline", *(f"avatars/{avatar}" for avatar in AVATARS)]


rule film_scene:
    input:
        splats=f"{R}/{{subject}}/{{scene}}/{SCENE_FILE}",
        cameras=rules.downscale_views.output.cameras,
    output:
        frames=directory(f"{R}/{{subject}}/{{scene}}/film/frames"),
        residuals=directory(f"{R}/{{subject}}/{{scene}}/film/residuals"),
        video=f"{R}/{{subject}}/{{scene}}/film/turntable.mp4",
        flicker=f"{R}/{{subject}}/{{scene}}/film/flicker.csv",
    log:
        f"{R}/logs/{{subject}}/film_scene/{{scene}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/film_scene/{{scene}}.tsv"
    wildcard_constraints:
        scene=any_of(FILMED),
    conda:
        "../envs/calibration.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(FILMED))
    resources:
        gpu=1,
        mem_mb=needs.memory(4_000, images=8, splats=1),
        runtime=needs.minutes(30, per_megapixel=6),
    params:
        labels=lambda wildcards: [wildcards.subject, *scene_labels(wildcards)],
        frames=FRAMES,
        metrics=MEASURED,
        library=library_digest("film_scene"),
    message:
        "Filming {wildcards.subject}, {wildcards.scene}"
    script:
        "../workflow_scripts/film_scene.py"


rule film_beside_baseline:
    input:
        frames=f"{R}/{{subject}}/avatars/{{avatar}}/film/frames",
        residuals=f"{R}/{{subject}}/avatars/{{avatar}}/film/residuals",
        baseline_frames=f"{R}/{{subject}}/baseline/film/frames",
        baseline_residuals=f"{R}/{{subject}}/baseline/film/residuals",
    output:
        video=f"{R}/{{subject}}/avatars/{{avatar}}/film/beside_baseline.mp4",
    log:
        f"{R}/logs/{{subject}}/film_beside_baseline_{{avatar}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/film_beside_baseline_{{avatar}}.tsv"
    wildcard_constraints:
        avatar=any_of(AVATARS),
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="30m",
    params:
        label=lambda wildcards: wildcards.avatar.replace("_", " "),
        library=library_digest("film_beside_baseline"),
    message:
        "Filming {wildcards.subject}, {wildcards.avatar}, beside its baseline"
    script:
        "../workflow_scripts/film_beside_baseline.py"


# `snakemake --cores all turntables`.
rule turntables:
    input:
        flicker=expand(
            f"{R}/{{subject}}/{{scene}}/film/flicker.csv", subject=SUBJECTS, scene=FILMED
        ),
        videos=[
            f"{R}/{subject}/avatars/{avatar}/film/beside_baseline.mp4"
            for subject in SUBJECTS
            for avatar in AVATARS
        ],
    output:
        table=f"{R}/tables/flicker.csv",
    log:
        f"{R}/logs/turntables.log",
    benchmark:
        f"{R}/benchmarks/turntables.tsv"
    localrule: True
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("turntables"),
    message:
        "Collecting the flicker of all films in one table"
    script:
        "../workflow_scripts/turntables.py"


rule clip_of_film:
    input:
        frames=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/film/frames",
        unedited=f"{R}/{{subject}}/baseline/film/frames",
    output:
        scores=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/film/clip.csv",
    log:
        f"{R}/logs/{{subject}}/clip_of_film_{{prompt}}_{{strength}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/clip_of_film_{{prompt}}_{{strength}}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(AVATARS))
    resources:
        gpu=1,
        mem_mb=needs.memory(4_000, images=8),
        runtime=with_attempt(60),
    params:
        labels=lambda wildcards: [wildcards.subject, wildcards.prompt, wildcards.strength],
        captions=lambda wildcards: captions(wildcards.subject, wildcards.prompt),
        metrics=keys_of("metrics", "clip_model", "clip_revision", "clip_frame"),
        library=library_digest("clip_of_film"),
    message:
        "Measuring by CLIP the film of {wildcards.subject}, {wildcards.prompt}, {wildcards.strength}"
    script:
        "../workflow_scripts/clip_of_film.py"


# `snakemake --cores all clip_scores`.
rule clip_scores:
    input:
        scores=[
            f"{R}/{subject}/avatars/{avatar}/film/clip.csv"
            for subject in SUBJECTS
            for avatar in AVATARS
        ],
    output:
        table=f"{R}/tables/clip.csv",
    log:
        f"{R}/logs/clip_scores.log",
    benchmark:
        f"{R}/benchmarks/clip_scores.tsv"
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("clip_scores"),
    message:
        "Collecting the CLIP scores of all films in one table"
    script:
        "../workflow_scripts/clip_scores.py"
