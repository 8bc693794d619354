"""The report's contents: contact sheets, figures, table pages, and the first page."""


rule draw_stages:
    input:
        masks=subject_masks,
        mask_images=subject_mask_images,
        capture=subject_capture,
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        renders=rules.train_baseline.output.renders,
        depth=rules.train_baseline.output.depth,
        history=rules.train_baseline.output.history,
        metrics=rules.train_baseline.output.metrics,
    output:
        photographs=stage_picture(1, "photographs"),
        masks=stage_picture(2, "masks"),
        views=stage_picture(3, "views"),
        baseline=stage_picture(5, "baseline"),
        depth=stage_picture(6, "depth"),
        training=stage_picture(7, "training", "png"),
    log:
        f"{R}/logs/{{subject}}/draw_stages.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/draw_stages.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(2_000, images=4),
        runtime=needs.minutes(20, per_view=0.5),
    params:
        library=library_digest("draw_stages"),
    message:
        "Drawing the stages of {wildcards.subject}"
    script:
        "../workflow_scripts/draw_stages.py"


rule judge_baseline:
    input:
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        renders=rules.train_baseline.output.renders,
        history=rules.train_baseline.output.history,
    output:
        judgement=f"{R}/{{subject}}/baseline_judgement.json",
    log:
        f"{R}/logs/{{subject}}/judge_baseline.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/judge_baseline.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        library=library_digest("judge_baseline"),
    message:
        "Measuring what the baseline of {wildcards.subject} gets wrong"
    script:
        "../workflow_scripts/judge_baseline.py"


rule draw_avatars:
    input:
        masks=subject_masks,
        mask_images=subject_mask_images,
        capture=subject_capture,
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        renders=rules.train_baseline.output.renders,
        edits=of_avatars("edits"),
        avatar_renders=of_avatars("renders"),
        histories=of_avatars("history.tsv"),
        true_edits=true_edits,
        prompts=PROMPTS_TABLE,
        subjects=SUBJECTS_TABLE,
    output:
        sheets=[avatar_sheet(avatar) for avatar in AVATARS],
        overview=avatars_picture(1, "avatars", "jpg", "all avatars"),
        compare=[compare_page(prompt) for prompt in PROMPTS],
        training=avatars_picture(3, "avatars_training", "png", "training"),
        strip=f"{R}/plots/{{subject}}/strip.jpg",
    log:
        f"{R}/logs/{{subject}}/draw_avatars.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/draw_avatars.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(2_000, images=8),
        runtime=needs.minutes(20, per_view=0.5),
    params:
        prompts=PROMPTS,
        strengths=STRENGTHS,
        edited_at=edited_at(),
        note=editor_note(config["editing"]),
        page_bytes=page_bytes(),
        assets=page_assets(),
        library=library_digest("draw_avatars"),
    message:
        "Drawing the avatars of {wildcards.subject}"
    script:
        "../workflow_scripts/draw_avatars.py"


rule plot_study:
    input:
        avatars=rules.summarize.output.avatars,
        views=rules.summarize.output.views,
        prompts=PROMPTS_TABLE,
    output:
        figures=[study_figure(metric, figure) for metric in TABLED for figure in STUDY_FIGURES],
    log:
        f"{R}/logs/plot_study.log",
    benchmark:
        f"{R}/benchmarks/plot_study.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        metrics=TABLED,
        external=EXTERNAL,
        library=library_digest("plot_study"),
    message:
        "Plotting the study's figures"
    script:
        "../workflow_scripts/plot_study.py"


rule write_table_pages:
    input:
        **{table: f"{R}/tables/{table}.csv" for table in SHOWN_TABLES},
        poses=of_subjects("poses/poses.json"),
        truth=[f"{R}/{subject}/poses/truth.json" for subject in PROCEDURAL],
        baselines=of_subjects("baseline/metrics.json"),
        study=local(HOME / "config" / "config.yaml"),
    output:
        **{name: table_page(name) for name in STUDY_PAGES},
    log:
        f"{R}/logs/write_table_pages.log",
    benchmark:
        f"{R}/benchmarks/write_table_pages.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="20m",
    params:
        subjects=SUBJECTS,
        external=EXTERNAL,
        # The script reads the settings itself. Here a digest keeps Snakemake's messages short.
        settings=settings_digest(),
        assets=page_assets(),
        library=library_digest("write_table_pages"),
    message:
        "Writing the tables as pages"
    script:
        "../workflow_scripts/write_table_pages.py"


rule compare_true_edits:
    input:
        truths=[path for s in SUBJECTS for p in PROMPTS if (path := known_truth(s, p)) is not None],
        cameras=[f"{R}/{subject}/views/cameras.json" for subject in PROCEDURAL],
        unedited=[f"{R}/{subject}/baseline/renders" for subject in PROCEDURAL],
        renders=all_of_avatars("renders"),
        edits=all_of_avatars("edits"),
    output:
        table=report(
            f"{R}/tables/true_edits.csv",
            caption="../report/table_true_edits.rst",
            category="5 Tables",
            labels={"table": "9 true edits", "as": "spreadsheet (CSV)"},
        ),
        page=report(
            f"{R}/plots/true_edits.html",
            caption="../report/table_true_edits.rst",
            category="5 Tables",
            labels={"table": "9 true edits", "as": "page"},
        ),
    log:
        f"{R}/logs/compare_true_edits.log",
    benchmark:
        f"{R}/benchmarks/compare_true_edits.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: available_cores(workflow)
    resources:
        gpu=1,
        mem_mb=needs.memory(2_500, images=8),
        runtime=needs.minutes(30, per_megapixel=3),
    params:
        strengths=STRENGTHS,
        assets=page_assets(),
        library=library_digest("compare_true_edits"),
    message:
        "Comparing the avatars with the true edits"
    script:
        "../workflow_scripts/compare_true_edits.py"


rule write_overview:
    input:
        strips=[f"{R}/plots/{subject}/strip.jpg" for subject in SUBJECTS],
        poses=of_subjects("poses/poses.json"),
        baselines=of_subjects("baseline/metrics.json"),
        judgements=of_subjects("baseline_judgement.json"),
        avatars=rules.summarize.output.avatars,
        prompts=PROMPTS_TABLE,
    output:
        page=report(
            f"{R}/plots/overview.html",
            caption="../report/overview.rst",
            category="1 Overview",
            labels={"page": "overview"},
        ),
        picture=report(
            f"{R}/plots/overview.jpg",
            caption="../report/pipeline.rst",
            category="1 Overview",
            labels={"page": "pipeline in pictures"},
        ),
    log:
        f"{R}/logs/write_overview.log",
    benchmark:
        f"{R}/benchmarks/write_overview.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="20m",
    params:
        subjects=SUBJECTS,
        metrics=FIRST_METRICS,
        external=EXTERNAL,
        note=editor_note(config["editing"]),
        is_harmless=note_is_harmless(config["editing"]),
        least_psnr=config["summary"]["least_psnr"],
        # Number of rows in the picture.
        shown=4,
        assets=page_assets(),
        library=library_digest("write_overview"),
    message:
        "Writing the report's first page"
    script:
        "../workflow_scripts/write_overview.py"


rule plot_costs:
    input:
        # Made last, as the jobs before it are measured.
        results=measured_outputs(),
    output:
        figure=costs_file("png", "1 figure"),
        page=costs_file("html", "2 table"),
    log:
        f"{R}/logs/plot_costs.log",
    benchmark:
        f"{R}/benchmarks/plot_costs.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="20m",
    params:
        # Snakemake writes them; no rule can name them as an input.
        benchmarks=f"{R}/benchmarks",
        rules=all_rules,
        assets=page_assets(),
        library=library_digest("plot_costs"),
    message:
        "Plotting what each stage took"
    script:
        "../workflow_scripts/plot_costs.py"


rule explore_subject:
    input:
        masks=subject_masks,
        mask_images=subject_mask_images,
        cameras=rules.downscale_views.output.cameras,
        view_images=rules.downscale_views.output.folder,
        adjacency=rules.camera_adjacency.output.adjacency,
        renders=rules.train_baseline.output.renders,
        splats=[] if NERF else rules.train_baseline.output.splats,
        edits=of_avatars("edits"),
        avatar_renders=of_avatars("renders"),
        avatar_depths=of_avatars("depth"),
        avatar_splats=[] if NERF else of_avatars("splats.ply"),
        inconsistency=[] if NERF else of_avatars("inconsistency.ply"),
        pairs=of_avatars("consistency/pairs.csv"),
        views=of_avatars("consistency/views.csv"),
        kinds=of_avatars("consistency/kinds.npz"),
        films=made_films,
        flicker=made_flicker,
        true_edits=true_edits,
        prompts=PROMPTS_TABLE,
        subjects=SUBJECTS_TABLE,
    output:
        content=f"{R}/{{subject}}/explorer.json",
    log:
        f"{R}/logs/{{subject}}/explore_subject.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/explore_subject.tsv"
    conda:
        "../envs/calibration.yaml"
    threads: share_of_cores(len(SUBJECTS))
    resources:
        mem_mb=needs.memory(2_500, images=18, splats=1),
        runtime=needs.minutes(30, per_megapixel=3),
    params:
        prompts=PROMPTS,
        strengths=STRENGTHS,
        metrics=MEASURED,
        max_bytes=explorer_share(STUDY_SIZE, len(AVATARS)),
        library=library_digest("explore_subject"),
    message:
        "Collecting what the explorer shows of {wildcards.subject}"
    script:
        "../workflow_scripts/explore_subject.py"


rule write_explorer:
    input:
        subjects=of_subjects("explorer.json"),
        avatars=rules.summarize.output.avatars,
    output:
        page=report(
            f"{R}/explorer.html",
            caption="../report/explorer.rst",
            category="1 Overview",
            labels={"page": "explorer"},
        ),
    log:
        f"{R}/logs/write_explorer.log",
    benchmark:
        f"{R}/benchmarks/write_explorer.tsv"
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="20m",
    params:
        metrics=TABLED,
        external=EXTERNAL,
        assets=page_assets(),
        library=library_digest("write_explorer"),
    message:
        "Writing the explorer"
    script:
        "../workflow_scripts/write_explorer.py"
