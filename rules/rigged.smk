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
    localrule: True
