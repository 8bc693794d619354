"""Stylized avatars: an editor changes the views by a text prompt, and scenes train on the edits."""


# No rule takes its output as input: Snakemake 9.27 would not notice other changes of jobs that
# depend on a job that runs, not even with ancient(). Instead this job runs first and alone. If it
# fails, the run ends.
rule check_models:
    output:
        models=f"{R}/models.json",
    log:
        f"{R}/logs/check_models.log",
    benchmark:
        f"{R}/benchmarks/check_models.tsv"
    priority: 100
    localrule: True
    conda:
        "../envs/stylization.yaml"
    threads: available_cores(workflow)
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        # Only the keys that name weights. Changing another key needs no new check.
        editing=weights_editing(config["editing"]) if AVATARS else None,
        stylization=(
            keys_of("stylization", "lpips_weight", "lpips_net", "lpips_weights")
            if AVATARS
            else None
        ),
        prompts={f"{p} of {s}": instruction(s, p) for s in SUBJECTS for p in PROMPTS},
        # A number cannot name weights.
        metrics={
            key: value for key, value in MEASURED.items() if not isinstance(value, (int, float))
        },
        masks=keys_of("masks", "steps", "matting_model", "matting_weights"),
        needs_matting=needs_matting(),
        library=library_digest("check_models"),
    message:
        "Looking for the weights that this configuration needs"
    script:
        "../workflow_scripts/check_models.py"


# One job makes several avatars of its subject, so the weights are loaded once. The first job also
# makes the avatars of the next jobs, which then only take the results. Parallel jobs share the
# avatars. Each avatar can still be requested, redone and resumed alone.
rule stylize_avatar:
    input:
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        splats=avatar_start_splats,
        renders=avatar_start_renders,
        adjacency=rules.camera_adjacency.output.adjacency,
    output:
        splats=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/{SCENE_FILE}",
        edits=directory(f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/edits"),
        renders=directory(f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/renders"),
        depth=directory(f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/depth"),
        history=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/history.tsv",
        run=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/run.json",
        timings=f"{R}/{{subject}}/avatars/{{prompt}}_{{strength}}/timings.json",
    log:
        f"{R}/logs/{{subject}}/stylize_avatar_{{prompt}}_{{strength}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/stylize_avatar_{{prompt}}_{{strength}}.tsv"
    priority: avatar_turn
    conda:
        "../envs/stylization.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(AVATARS))
    resources:
        gpu=gpus_of_avatars(config["editing"]),
        mem_mb=needs.memory(6_000, images=8, splats=4),
        runtime=needs.minutes(120, per_megapixel=10),
    params:
        prompt_text=prompt_text,
        after=prompt_after,
        strength=avatar_strength,
        editing=prompt_editing,
        stylization=avatar_stylization(config["stylization"]),
        baseline=config["baseline"],
        nerf=NERF,
        seed=config["seed"],
        plan=STYLIZATION_PLAN,
        library=library_digest("stylize_avatar"),
    message:
        "Stylizing {wildcards.subject} with prompt {wildcards.prompt} at strength {wildcards.strength}"
    script:
        "../workflow_scripts/stylize_avatar.py"


# For example `snakemake --cores all results/A/strength_sweep/P4.jpg`.
rule sweep_strengths:
    input:
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        renders=rules.train_baseline.output.renders,
        depth=rules.train_baseline.output.depth,
        adjacency=rules.camera_adjacency.output.adjacency,
    output:
        sheet=f"{R}/{{subject}}/strength_sweep/{{prompt}}.jpg",
        table=f"{R}/{{subject}}/strength_sweep/{{prompt}}.csv",
    log:
        f"{R}/logs/{{subject}}/sweep_strengths_{{prompt}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/sweep_strengths_{{prompt}}.tsv"
    conda:
        "../envs/sweep.yaml"
    threads: share_of_cores(len(SUBJECTS) * len(PROMPTS))
    resources:
        gpu=gpus_of_avatars(config["editing"]),
        mem_mb=needs.memory(6_000, images=8),
        runtime="2h",
    params:
        prompt_text=prompt_text,
        editing=prompt_editing,
        strengths=[strength_values(config["editing"], config["strengths"], s) for s in STRENGTHS],
        sweep=config["strength_sweep"],
        metrics=MEASURED,
        seed=config["seed"],
        library=library_digest("sweep_strengths"),
    message:
        "Trying strengths on views of {wildcards.subject} with prompt {wildcards.prompt}"
    script:
        "../workflow_scripts/sweep_strengths.py"


# `snakemake --cores all strength_sweep`.
rule strength_sweep:
    input:
        expand(
            f"{R}/{{subject}}/strength_sweep/{{prompt}}.{{kind}}",
            subject=SUBJECTS,
            prompt=PROMPTS,
            kind=["jpg", "csv"],
        ),
    localrule: True
