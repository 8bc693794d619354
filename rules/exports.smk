"""Scenes and tables for other programs. These rules run only for a named target."""


# For example `snakemake --cores 1 results/A/baseline/splats.spz`.
rule export_splats:
    input:
        splats=of_splats_alone(f"{R}/{{scene}}/splats.ply"),
    output:
        exported=f"{R}/{{scene}}/splats.{{kind}}",
    log:
        f"{R}/logs/{{scene}}/export_splats_{{kind}}.log",
    benchmark:
        f"{R}/benchmarks/{{scene}}/export_splats_{{kind}}.tsv"
    wildcard_constraints:
        scene=r"[^/]+/(baseline|avatars/[^/]+)",
        kind="splat|spz|sog",
    conda:
        "../envs/splats.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="10m",
    params:
        library=library_digest("export_splats"),
    message:
        "Exporting the splats of {wildcards.scene} as .{wildcards.kind}"
    script:
        "../workflow_scripts/export_splats.py"


# For example `snakemake --cores 1 results/A/baseline/exports/nerfstudio`.
rule export_scene:
    input:
        splats=f"{R}/{{subject}}/{{scene}}/{SCENE_FILE}",
        renders=f"{R}/{{subject}}/{{scene}}/renders",
        depth=f"{R}/{{subject}}/{{scene}}/depth",
        cameras=rules.downscale_views.output.cameras,
    output:
        exported=directory(f"{R}/{{subject}}/{{scene}}/exports/{{format}}"),
    log:
        f"{R}/logs/{{subject}}/{{scene}}/export_scene_{{format}}.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/{{scene}}/export_scene_{{format}}.tsv"
    wildcard_constraints:
        scene=r"baseline|avatars/[^/]+",
        format="nerfstudio|colmap|colmap-text|depth-exr|depth-png",
    conda:
        "../envs/exports.yaml"
    threads: 1
    resources:
        mem_mb=4_000,
        runtime="30m",
    params:
        format="{format}",
        library=library_digest("export_scene"),
    message:
        "Exporting {wildcards.subject}, {wildcards.scene}, as {wildcards.format}"
    script:
        "../workflow_scripts/export_scene.py"


# For example `snakemake --cores 1 results/A/baseline/exports/turntable.mp4`.
use rule export_scene as export_turntable with:
    output:
        exported=f"{R}/{{subject}}/{{scene}}/exports/turntable.mp4",
    log:
        f"{R}/logs/{{subject}}/{{scene}}/export_turntable.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/{{scene}}/export_turntable.tsv"
    wildcard_constraints:
        scene=r"baseline|avatars/[^/]+",
    params:
        format="turntable",
        library=library_digest("export_scene"),
    message:
        "Turning {wildcards.subject}, {wildcards.scene}, in a video"


# For example `snakemake --cores 1 results/tables/avatars.parquet`.
rule export_table:
    input:
        table=f"{R}/tables/{{table}}.csv",
    output:
        exported=f"{R}/tables/{{table}}.parquet",
    log:
        f"{R}/logs/export_table_{{table}}.log",
    benchmark:
        f"{R}/benchmarks/export_table_{{table}}.tsv"
    wildcard_constraints:
        table="|".join([*TABLES, "evaluation"]),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("export_table"),
    message:
        "Exporting the table {wildcards.table} as Parquet"
    script:
        "../workflow_scripts/export_table.py"
