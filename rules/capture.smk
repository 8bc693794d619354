"""Photographs that a rule makes: of procedural heads and their true edits, of videos and of RAW."""


rule synthesize_capture:
    output:
        folder=directory(f"{R}/{{subject}}/capture"),
        rig=f"{R}/{{subject}}/capture/rig.tsv",
    log:
        f"{R}/logs/{{subject}}/synthesize_capture.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/synthesize_capture.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(3_000),
        runtime=needs.minutes(20, per_view=1),
    params:
        capture=config["capture"],
        seed=lambda wildcards: int(subjects[wildcards.subject]["seed"]),
        library=library_digest("synthesize_capture"),
    message:
        "Photographing the procedural head {wildcards.subject}"
    script:
        "../workflow_scripts/synthesize_capture.py"


# The true edit: the head itself is edited, not its views. Only procedural heads have one.
rule photograph_true_edits:
    input:
        rig=rules.synthesize_capture.output.rig,
        capture=rules.synthesize_capture.output.folder,
        cameras=f"{R}/{{subject}}/views/cameras.json",
    output:
        photographs=directory(f"{R}/{{subject}}/true_edits/{{prompt}}"),
    log:
        f"{R}/logs/{{subject}}/photograph_true_edits_{{prompt}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/photograph_true_edits_{{prompt}}.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(3_000),
        runtime=needs.minutes(20, per_view=1),
    params:
        seed=lambda wildcards: int(subjects[wildcards.subject]["seed"]),
        operator=lambda wildcards: prompts[wildcards.prompt]["operator"],
        # The views are smaller than the photographs, so a coarser mesh gives the same images.
        coarseness=2.0,
        samples_per_side=config["capture"]["samples_per_side"],
        library=library_digest("photograph_true_edits"),
    message:
        "Photographing the true edit of {wildcards.subject} by prompt {wildcards.prompt}"
    script:
        "../workflow_scripts/photograph_true_edits.py"


# Only subjects whose photographs are a video or RAW files come here.
rule develop_photographs:
    input:
        sources=lambda wildcards: plain_files(undeveloped.get(wildcards.subject, ())),
    output:
        folder=directory(f"{R}/{{subject}}/developed"),
        developed=f"{R}/{{subject}}/developed/developed.json",
    log:
        f"{R}/logs/{{subject}}/develop_photographs.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/develop_photographs.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 2
    resources:
        mem_mb=2_000,
        runtime="1h",
    params:
        sources=lambda wildcards: undeveloped.get(wildcards.subject, ()),
        frames=config["photographs"]["video_frames"],
        library=library_digest("develop_photographs"),
    message:
        "Making the photographs of {wildcards.subject} from a video or from RAW files"
    script:
        "../workflow_scripts/develop_photographs.py"
