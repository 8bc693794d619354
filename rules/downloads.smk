"""Downloads of weights, for later use without a network. They run only as a named target."""


rule models:
    input:
        f"{R}/downloads/SHA256SUMS",


rule download_models:
    output:
        checksums=f"{R}/downloads/SHA256SUMS",
    log:
        f"{R}/logs/download_models.log",
    benchmark:
        f"{R}/benchmarks/download_models.tsv"
    localrule: True
    conda:
        "../envs/stylization.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="2h",
    params:
        config={k: config[k] for k in ("editing", "stylization", "metrics", "masks")},
        with_avatars=bool(AVATARS),
        with_matting=needs_matting(),
        library=library_digest("download_models"),
    message:
        "Downloading the weights that this configuration needs"
    script:
        "../workflow_scripts/download_models.py"
