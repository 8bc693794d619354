"""Training of headstyle's small models. It runs only as a named target, never for the study."""


rule train_matting:
    output:
        model="results/models/matting/model.onnx",
        history="results/models/matting/history.tsv",
        scores="results/models/matting/scores.json",
        sheet="results/models/matting/contact_sheet.jpg",
        card="results/models/matting/MODEL_CARD.md",
    log:
        "results/models/logs/train_matting.log",
    benchmark:
        "results/models/benchmarks/train_matting.tsv"
    conda:
        "../envs/learning.yaml"
    threads: share_of_cores(1)
    resources:
        gpu=1,
        mem_mb=with_attempt(32_000),
        runtime=with_attempt(60),
    params:
        training=config["models"]["matting"],
        checkpoint="results/models/checkpoints/matting",
        seed=config["seed"],
        library=library_digest("train_matting"),
    message:
        "Training the mini matting"
    script:
        "../workflow_scripts/train_matting.py"


rule train_perceptual:
    output:
        model="results/models/perceptual/model.safetensors",
        history="results/models/perceptual/history.tsv",
        scores="results/models/perceptual/scores.json",
        sheet="results/models/perceptual/contact_sheet.jpg",
        card="results/models/perceptual/MODEL_CARD.md",
    log:
        "results/models/logs/train_perceptual.log",
    benchmark:
        "results/models/benchmarks/train_perceptual.tsv"
    conda:
        "../envs/learning.yaml"
    threads: share_of_cores(1)
    resources:
        gpu=1,
        mem_mb=with_attempt(32_000),
        runtime=with_attempt(60),
    params:
        training=config["models"]["perceptual"],
        checkpoint="results/models/checkpoints/perceptual",
        seed=config["seed"],
        library=library_digest("train_perceptual"),
    message:
        "Training the mini perceptual metric"
    script:
        "../workflow_scripts/train_perceptual.py"


rule train_editor:
    output:
        model=directory("results/models/editor"),
    log:
        "results/models/logs/train_editor.log",
    benchmark:
        "results/models/benchmarks/train_editor.tsv"
    conda:
        "../envs/learning.yaml"
    threads: share_of_cores(1)
    resources:
        gpu=1,
        mem_mb=with_attempt(32_000),
        runtime=with_attempt(60),
    params:
        training=config["models"]["editor"],
        checkpoint="results/models/checkpoints/editor",
        seed=config["seed"],
        library=library_digest("train_editor"),
    message:
        "Training the mini editor"
    script:
        "../workflow_scripts/train_editor.py"
