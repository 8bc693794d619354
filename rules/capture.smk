"""Photographs of the procedural heads, for subjects whose source is `procedural`."""


rule synthesize_capture:
    output:
        rig=f"{R}/{{subject}}/capture/rig.tsv",
    log:
        f"{R}/logs/{{subject}}/synthesize_capture.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/synthesize_capture.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=3_000,
        runtime="1h",
    params:
        capture=config["capture"],
        seed=lambda wildcards: int(subjects[wildcards.subject]["seed"]),
        library=library_digest("synthesize_capture"),
    message:
        "Photographing the procedural head {wildcards.subject}"
    script:
        "../workflow_scripts/synthesize_capture.py"
