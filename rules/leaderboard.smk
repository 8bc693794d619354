"""Methods side by side on the same heads and prompts. These rules run only for a named target."""


use rule stylize_avatar as stylize_by_schedule with:
    output:
        splats=f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/{SCENE_FILE}",
        edits=directory(
            f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/edits"
        ),
        renders=directory(
            f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/renders"
        ),
        depth=directory(
            f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/depth"
        ),
        history=f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/history.tsv",
        run=f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/run.json",
        timings=f"{BOARD}/made/{{schedule}}/{{subject}}/avatars/{{prompt}}_{{strength}}/timings.json",
    log:
        f"{R}/logs/leaderboard/{{schedule}}/{{subject}}/stylize_{{prompt}}_{{strength}}.log",
    benchmark:
        f"{R}/benchmarks/leaderboard/{{schedule}}/{{subject}}/stylize_{{prompt}}_{{strength}}.tsv"
    wildcard_constraints:
        schedule=any_of(MADE_SCHEDULES),
    params:
        prompt_text=prompt_text,
        after=prompt_after,
        strength=avatar_strength,
        editing=schedule_editing,
        stylization=schedule_stylization,
        baseline=config["baseline"],
        nerf=NERF,
        seed=config["seed"],
        plan=lambda wildcards: schedule_plan(wildcards.schedule),
        library=library_digest("stylize_avatar"),
    message:
        "Stylizing {wildcards.subject} with prompt {wildcards.prompt} by the schedule {wildcards.schedule}"


rule measure_method:
    input:
        entries=entry_inputs,
        cameras=of_subjects("views/cameras.json"),
        adjacency=of_subjects("adjacency.csv"),
        renders=of_subjects("baseline/renders"),
        depth=of_subjects("baseline/depth"),
        splats=[] if NERF else of_subjects("baseline/splats.ply"),
    output:
        pairs=f"{BOARD}/scores/{{method}}/pairs.csv",
        views=f"{BOARD}/scores/{{method}}/views.csv",
    log:
        f"{R}/logs/leaderboard/measure_{{method}}.log",
    benchmark:
        f"{R}/benchmarks/leaderboard/measure_{{method}}.tsv"
    wildcard_constraints:
        method=any_of(METHODS),
    conda:
        "../envs/metrics.yaml"
    threads: share_of_cores(len(METHODS))
    resources:
        gpu=1,
        mem_mb=needs.memory(3_000, images=18, splats=1),
        runtime=with_attempt(240),
    params:
        scenes=lambda wildcards: entry_scenes(wildcards.method),
        metrics=MEASURED,
        library=library_digest("measure_method"),
    message:
        "Measuring the renders of the method {wildcards.method}"
    script:
        "../workflow_scripts/measure_method.py"


# `snakemake --cores all leaderboard`.
rule leaderboard:
    input:
        methods=METHODS_TABLE,
        prompts=PROMPTS_TABLE,
        pairs=board_scores("pairs"),
        views=board_scores("views"),
        study=HOME / "resources" / "reference" / "thesis_metrics.csv",
        cameras=of_subjects("views/cameras.json"),
    output:
        ranks=f"{BOARD}/ranks.tsv",
        duels=f"{BOARD}/duels.tsv",
        scenes=f"{BOARD}/scenes.tsv",
        page=report(
            f"{BOARD}/leaderboard.html",
            caption="../report/leaderboard.rst",
            category="8 Leaderboard",
            labels={"page": "leaderboard"},
        ),
    log:
        f"{R}/logs/leaderboard.log",
    benchmark:
        f"{R}/benchmarks/leaderboard.tsv"
    localrule: True
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=3_000,
        runtime="30m",
    params:
        scenes={method: entry_scenes(method) for method in METHODS},
        metrics=config["metrics"]["names"],
        confidence=config["summary"]["confidence"],
        bootstrap_resamples=config["summary"]["bootstrap_resamples"],
        seed=config["seed"],
        assets=page_assets(),
        library=library_digest("leaderboard"),
    message:
        "Ranking the methods"
    script:
        "../workflow_scripts/leaderboard.py"


# `snakemake --cores all ratings`.
rule ratings:
    input:
        page=f"{BOARD}/ratings.html",
    localrule: True


rule write_ratings_page:
    input:
        entries=all_entries(),
        cameras=of_subjects("views/cameras.json"),
    output:
        page=f"{BOARD}/ratings.html",
        key=f"{BOARD}/ratings_key.csv",
    log:
        f"{R}/logs/write_ratings_page.log",
    benchmark:
        f"{R}/benchmarks/write_ratings_page.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        scenes={method: entry_scenes(method) for method in METHODS},
        pairs=config["leaderboard"]["ratings"]["pairs"],
        pictures=config["leaderboard"]["ratings"]["pictures"],
        seed=config["seed"],
        assets=page_assets(),
        library=library_digest("write_ratings_page"),
    message:
        "Writing the page on which people compare methods"
    script:
        "../workflow_scripts/write_ratings_page.py"


# `snakemake --cores all analyze_ratings`.
rule analyze_ratings:
    input:
        answers=config["leaderboard"]["ratings"]["answers"],
        key=rules.write_ratings_page.output.key,
        scenes=rules.leaderboard.output.scenes,
    output:
        methods=f"{BOARD}/ratings_methods.tsv",
        people=f"{BOARD}/ratings_people.tsv",
        metrics=f"{BOARD}/ratings_metrics.tsv",
    log:
        f"{R}/logs/analyze_ratings.log",
    benchmark:
        f"{R}/benchmarks/analyze_ratings.tsv"
    localrule: True
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        confidence=config["summary"]["confidence"],
        bootstrap_resamples=config["summary"]["bootstrap_resamples"],
        seed=config["seed"],
        library=library_digest("analyze_ratings"),
    message:
        "Analyzing what people said of the methods"
    script:
        "../workflow_scripts/analyze_ratings.py"
