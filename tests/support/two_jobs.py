"""A workflow of a light job and of one that asks for a GPU, for tests of executors."""

RULES = """
rule all:
    input:
        "light.txt", "heavy.txt",

rule mask_views:
    output:
        "light.txt",
    resources:
        mem_mb=400,
        runtime=5,
    shell:
        "echo done > {output}"

rule train_baseline:
    output:
        "heavy.txt",
    resources:
        gpu=1,
        mem_mb=500,
        runtime=6,
    shell:
        "echo done > {output}"
"""
