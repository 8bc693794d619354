"""Heads that move: sequences with meshes, and their consistency over time."""


rule synthesize_sequence:
    output:
        folder=directory(f"{R}/{{subject}}/sequence"),
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
    log:
        f"{R}/logs/{{subject}}/synthesize_sequence.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/synthesize_sequence.tsv"
    wildcard_constraints:
        subject=rigged_of("synthetic"),
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=3_000,
        runtime="30m",
    params:
        sequence=config["rigged"]["sequence"],
        seed=lambda wildcards: RIGGED[wildcards.subject].get("seed", 1),
        driver_seed=lambda wildcards: RIGGED[wildcards.subject].get("driven_by", 2),
        library=library_digest("synthesize_sequence"),
    message:
        "Photographing the procedural head {wildcards.subject} as it moves"
    script:
        "../workflow_scripts/synthesize_sequence.py"


rule import_sequence:
    input:
        files=sequence_files,
    output:
        folder=directory(f"{R}/{{subject}}/sequence"),
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
    log:
        f"{R}/logs/{{subject}}/import_sequence.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/import_sequence.tsv"
    wildcard_constraints:
        subject=rigged_of("sequence"),
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=8_000,
        runtime="2h",
    params:
        entry=lambda wildcards: RIGGED[wildcards.subject],
        library=library_digest("import_sequence"),
    message:
        "Reading and checking the sequence of {wildcards.subject}"
    script:
        "../workflow_scripts/import_sequence.py"


rule train_rigged:
    input:
        folder=f"{R}/{{subject}}/sequence",
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
    output:
        splats=f"{R}/{{subject}}/rigged/splats.ply",
        history=f"{R}/{{subject}}/rigged/history.tsv",
        metrics=f"{R}/{{subject}}/rigged/metrics.json",
    log:
        f"{R}/logs/{{subject}}/train_rigged.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/train_rigged.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
    conda:
        "../envs/splats.yaml"
    threads: share_of_cores(len(RIGGED))
    resources:
        gpu=1,
        mem_mb=16_000,
        runtime="8h",
    params:
        baseline=config["baseline"],
        rigged=rigged_training_keys(),
        seed=config["seed"],
        library=library_digest("train_rigged"),
    message:
        "Training the splats of {wildcards.subject}, bound to its mesh"
    script:
        "../workflow_scripts/train_rigged.py"


rule render_rigged:
    input:
        folder=f"{R}/{{subject}}/sequence",
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
        splats=rules.train_rigged.output.splats,
    output:
        renders=directory(f"{R}/{{subject}}/rigged/renders"),
        depth=directory(f"{R}/{{subject}}/rigged/depth"),
    log:
        f"{R}/logs/{{subject}}/render_rigged.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/render_rigged.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
    conda:
        "../envs/splats.yaml"
    threads: share_of_cores(len(RIGGED))
    resources:
        gpu=1,
        mem_mb=8_000,
        runtime="2h",
    params:
        library=library_digest("render_rigged"),
    message:
        "Rendering {wildcards.subject} as it moves, and as another head moves it"
    script:
        "../workflow_scripts/render_rigged.py"


rule evaluate_rigged:
    input:
        folder=f"{R}/{{subject}}/sequence",
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
        splats=rules.train_rigged.output.splats,
        renders=rules.render_rigged.output.renders,
    output:
        table=f"{R}/{{subject}}/rigged/evaluation.csv",
        facts=f"{R}/{{subject}}/rigged/evaluation.json",
    log:
        f"{R}/logs/{{subject}}/evaluate_rigged.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/evaluate_rigged.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
    conda:
        "../envs/metrics.yaml"
    threads: share_of_cores(len(RIGGED))
    resources:
        gpu=1,
        mem_mb=8_000,
        runtime="2h",
    params:
        subject="{subject}",
        backgrounds=config["evaluation"]["backgrounds"],
        metrics=keys_of("metrics", "lpips_net", "lpips_weights"),
        seed=config["seed"],
        library=library_digest("evaluate_rigged"),
    message:
        "Scoring novel views and expressions of {wildcards.subject}"
    script:
        "../workflow_scripts/evaluate_rigged.py"


rule full_evaluation_rigged:
    input:
        tables=expand(f"{R}/{{subject}}/rigged/evaluation.csv", subject=RIGGED),
        facts=expand(f"{R}/{{subject}}/rigged/evaluation.json", subject=RIGGED),
    output:
        table=f"{R}/tables/rigged_evaluation.csv",
    log:
        f"{R}/logs/full_evaluation_rigged.log",
    benchmark:
        f"{R}/benchmarks/full_evaluation_rigged.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="10m",
    params:
        library=library_digest("full_evaluation"),
    message:
        "Collecting the evaluations of all heads that move in one table"
    script:
        "../workflow_scripts/full_evaluation.py"


rule stylize_rigged:
    input:
        folder=f"{R}/{{subject}}/sequence",
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
        splats=rules.train_rigged.output.splats,
    output:
        splats=f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/splats.ply",
        edits=directory(f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/edits"),
        renders=directory(f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/renders"),
        depth=directory(f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/depth"),
        history=f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/history.tsv",
        run=f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/run.json",
        timings=f"{R}/{{subject}}/rigged/avatars/{{prompt}}/{{strength}}/timings.json",
    log:
        f"{R}/logs/{{subject}}/stylize_rigged_{{prompt}}_{{strength}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/stylize_rigged_{{prompt}}_{{strength}}.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
    conda:
        "../envs/stylization.yaml"
    threads: share_of_cores(len(RIGGED) * len(RIGGED_AVATARS))
    resources:
        gpu=gpus_of_avatars(config["editing"]),
        mem_mb=16_000,
        runtime="8h",
    params:
        prompt_text=rigged_prompt_text,
        strength=avatar_strength,
        editing=prompt_editing,
        stylization=avatar_stylization(config["stylization"]),
        baseline=rigged_baseline(),
        rigged=rigged_training_keys("edited_timesteps"),
        adjacency=config["adjacency"],
        seed=config["seed"],
        library=library_digest("stylize_rigged"),
    message:
        "Stylizing {wildcards.subject}, which moves, with prompt {wildcards.prompt} at strength {wildcards.strength}"
    script:
        "../workflow_scripts/stylize_rigged.py"


rule measure_over_time:
    input:
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
        renders=rigged_renders,
        unedited=f"{R}/{{subject}}/rigged/renders",
        floor=rigged_floor,
    output:
        pairs=f"{R}/{{subject}}/rigged/{{moving}}/temporal_pairs.csv",
        table=f"{R}/{{subject}}/rigged/{{moving}}/temporal.csv",
    log:
        f"{R}/logs/{{subject}}/measure_over_time/{{moving}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/measure_over_time/{{moving}}.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
        moving=any_of(RIGGED_SCENES),
    conda:
        "../envs/calibration.yaml"
    threads: share_of_cores(len(RIGGED) * len(RIGGED_SCENES))
    resources:
        gpu=1,
        mem_mb=8_000,
        runtime="4h",
    params:
        labels=rigged_labels,
        metrics={**MEASURED, "names": config["rigged"]["temporal"]["metrics"]},
        neighbors=config["rigged"]["temporal"]["neighbors"],
        seed=config["seed"],
        library=library_digest("measure_over_time"),
    message:
        "Measuring the consistency over time of {wildcards.subject}, {wildcards.moving}"
    script:
        "../workflow_scripts/measure_over_time.py"


rule write_rigged_page:
    input:
        sequence=f"{R}/{{subject}}/sequence/sequence.json",
        renders=f"{R}/{{subject}}/rigged/renders",
        avatars=[f"{R}/{{subject}}/rigged/avatars/{avatar}/renders" for avatar in RIGGED_AVATARS],
        tables=[f"{R}/{{subject}}/rigged/{moving}/temporal.csv" for moving in RIGGED_SCENES],
        pairs=[f"{R}/{{subject}}/rigged/{moving}/temporal_pairs.csv" for moving in RIGGED_SCENES],
    output:
        page=report(
            f"{R}/{{subject}}/rigged/rigged.html",
            caption="../report/rigged.rst",
            category="Heads that move",
            labels={"subject": "{subject}", "figure": "over time"},
        ),
    log:
        f"{R}/logs/{{subject}}/write_rigged_page.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/write_rigged_page.tsv"
    wildcard_constraints:
        subject=any_of(RIGGED),
    conda:
        "../envs/calibration.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="30m",
    params:
        avatars=RIGGED_AVATARS,
        metrics=config["rigged"]["temporal"]["metrics"],
        library=library_digest("write_rigged_page"),
    message:
        "Writing the page of {wildcards.subject} as it moves"
    script:
        "../workflow_scripts/write_rigged_page.py"


rule tabulate_over_time:
    input:
        tables=[
            f"{R}/{subject}/rigged/{moving}/temporal.csv"
            for subject in RIGGED
            for moving in RIGGED_SCENES
        ],
    output:
        table=f"{R}/tables/temporal.csv",
    log:
        f"{R}/logs/tabulate_over_time.log",
    benchmark:
        f"{R}/benchmarks/tabulate_over_time.tsv"
    localrule: True
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("tabulate_over_time"),
    message:
        "Collecting the consistency over time of all heads that move in one table"
    script:
        "../workflow_scripts/tabulate_over_time.py"


# `snakemake --cores all rigged`.
rule rigged:
    input:
        pages=[f"{R}/{subject}/rigged/rigged.html" for subject in RIGGED],
        table=rules.tabulate_over_time.output.table,
        evaluation=rules.full_evaluation_rigged.output.table,
    localrule: True
