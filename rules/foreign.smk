"""Foreign scenes: renders of other methods are converted, measured like avatars, and tabulated."""


rule import_renders:
    input:
        files=foreign_scene("inputs"),
    output:
        cameras=f"{R}/foreign/{{subject}}/views/cameras.json",
        renders=directory(f"{R}/foreign/{{subject}}/renders"),
        depth=directory(f"{R}/foreign/{{subject}}/depth"),
        adjacency=f"{R}/foreign/{{subject}}/adjacency.csv",
        notes=f"{R}/foreign/{{subject}}/import.json",
    log:
        f"{R}/logs/foreign/{{subject}}/import_renders.log",
    benchmark:
        f"{R}/benchmarks/foreign/{{subject}}/import_renders.tsv"
    wildcard_constraints:
        subject=FOREIGN_NAMES,
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(4_000, images=4),
        runtime=needs.minutes(20, per_view=1),
    params:
        settings=foreign_scene("entry"),
        braced=foreign_scene("braced"),
        adjacency=config["adjacency"],
        points=config["baseline"]["min_initial_splats"],
        seed=config["seed"],
        library=library_digest("import_renders"),
    message:
        "Reading and checking the renders of {wildcards.subject}"
    script:
        "../workflow_scripts/import_renders.py"


use rule train_baseline as fit_unedited with:
    input:
        cameras=rules.import_renders.output.cameras,
    output:
        splats=f"{R}/foreign/{{subject}}/fit/splats.ply",
        renders=directory(f"{R}/foreign/{{subject}}/fit/renders"),
        depth=directory(f"{R}/foreign/{{subject}}/fit/depth"),
        history=f"{R}/foreign/{{subject}}/fit/history.tsv",
        metrics=f"{R}/foreign/{{subject}}/fit/metrics.json",
    log:
        f"{R}/logs/foreign/{{subject}}/fit_unedited.log",
    benchmark:
        f"{R}/benchmarks/foreign/{{subject}}/fit_unedited.tsv"
    wildcard_constraints:
        subject=FOREIGN_NAMES,
    threads: share_of_cores(len(FOREIGN))
    message:
        "Fitting splats to the unedited views of {wildcards.subject}"


use rule measure_consistency as measure_renders with:
    input:
        images=rules.import_renders.output.renders,
        depth=foreign_scene("depth"),
        cameras=rules.import_renders.output.cameras,
        adjacency=rules.import_renders.output.adjacency,
        unedited=foreign_scene("unedited"),
        splats=foreign_scene("splats"),
        floor=foreign_scene("floor"),
    output:
        pairs=f"{R}/foreign/{{subject}}/consistency/pairs.csv",
        views=f"{R}/foreign/{{subject}}/consistency/views.csv",
        kinds=f"{R}/foreign/{{subject}}/consistency/kinds.npz",
    log:
        f"{R}/logs/foreign/{{subject}}/measure_renders.log",
    benchmark:
        f"{R}/benchmarks/foreign/{{subject}}/measure_renders.tsv"
    wildcard_constraints:
        subject=FOREIGN_NAMES,
    threads: share_of_cores(len(FOREIGN))
    params:
        labels=["renders", "none"],
        instruction=foreign_scene("instruction"),
        captions=None,
        metrics=MEASURED,
        seed=config["seed"],
        library=library_digest("measure_consistency"),
    message:
        "Measuring the consistency of the renders of {wildcards.subject}"


use rule measure_renders as measure_unedited with:
    input:
        images=rules.import_renders.output.cameras,
        depth=foreign_scene("depth"),
        cameras=rules.import_renders.output.cameras,
        adjacency=rules.import_renders.output.adjacency,
        unedited=rules.import_renders.output.cameras,
        splats=foreign_scene("splats"),
    output:
        pairs=f"{R}/foreign/{{subject}}/unedited/consistency/pairs.csv",
        views=f"{R}/foreign/{{subject}}/unedited/consistency/views.csv",
        kinds=f"{R}/foreign/{{subject}}/unedited/consistency/kinds.npz",
    log:
        f"{R}/logs/foreign/{{subject}}/measure_unedited.log",
    benchmark:
        f"{R}/benchmarks/foreign/{{subject}}/measure_unedited.tsv"
    params:
        # The unedited views serve as the baseline: a scene's excess is its score minus theirs.
        labels=["none", "none"],
        instruction=None,
        captions=None,
        metrics=MEASURED,
        seed=config["seed"],
        library=library_digest("measure_consistency"),
    message:
        "Measuring the consistency of the unedited views of {wildcards.subject}"


rule explore_renders:
    input:
        cameras=rules.import_renders.output.cameras,
        adjacency=rules.import_renders.output.adjacency,
        renders=rules.import_renders.output.renders,
        depth=foreign_scene("depth"),
        pairs=rules.measure_renders.output.pairs,
        views=rules.measure_renders.output.views,
        kinds=rules.measure_renders.output.kinds,
        unedited=foreign_scene("unedited"),
        splats=foreign_scene("splats"),
        own_splats=foreign_scene("shown_splats"),
    output:
        content=f"{R}/foreign/{{subject}}/explorer.json",
    log:
        f"{R}/logs/foreign/{{subject}}/explore_renders.log",
    benchmark:
        f"{R}/benchmarks/foreign/{{subject}}/explore_renders.tsv"
    wildcard_constraints:
        subject=FOREIGN_NAMES,
    conda:
        "../envs/calibration.yaml"
    threads: share_of_cores(len(FOREIGN))
    resources:
        mem_mb=needs.memory(2_500, images=18, splats=1),
        runtime=needs.minutes(30, per_megapixel=3),
    params:
        instruction=foreign_scene("instruction"),
        own_splats=foreign_scene("own_splats"),
        braced=foreign_scene("braced_splats"),
        metrics=config["metrics"],
        max_bytes=explorer_share(len(FOREIGN), 1),
        library=library_digest("explore_renders"),
    message:
        "Collecting what the explorer shows of {wildcards.subject}"
    script:
        "../workflow_scripts/explore_renders.py"


rule score_renders:
    input:
        scenes=[f"{R}/foreign/{name}/explorer.json" for name in FOREIGN],
        pairs=foreign_tables("pairs"),
        views=foreign_tables("views"),
        notes=[f"{R}/foreign/{name}/import.json" for name in FOREIGN],
        external=[entry["path"] for entry in EXTERNAL.values()],
    output:
        scores=f"{R}/foreign/scores.csv",
        page=report(
            f"{R}/foreign/scores.html",
            caption="../report/scores.rst",
            category="6 Other methods",
            labels={"as": "table"},
        ),
        explorer=report(
            f"{R}/foreign/explorer.html",
            caption="../report/explorer_renders.rst",
            category="6 Other methods",
            labels={"as": "explorer"},
        ),
    log:
        f"{R}/logs/foreign/score_renders.log",
    benchmark:
        f"{R}/benchmarks/foreign/score_renders.tsv"
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        metrics=config["metrics"]["names"],
        external=EXTERNAL,
        elsewhere=SUBJECTS if EXTERNAL else [],
        confidence=config["summary"]["confidence"],
        bootstrap_resamples=config["summary"]["bootstrap_resamples"],
        seed=config["seed"],
        assets=page_assets(),
        library=library_digest("score_renders"),
    message:
        "Collecting the scores of other methods' renders in one table"
    script:
        "../workflow_scripts/score_renders.py"
