"""The list of figures, pages and tables, and the place of each in the report."""

import hashlib
import json

from headstyle.avatars.schedules import later_passes

# Figures and tables that need human ratings are made only if there are ratings.
RATED = bool(config["summary"]["ratings"])
STUDY_FIGURES = ["by_prompt", "by_subject", "excess", "low_high", *(["by_quality"] * RATED)]
# The first page shows these metrics: the headline score and those of the study. If none of them is
# measured, it shows the first measured metrics.
FIRST_METRICS = ("headline", "rmse", "ciede2000", "lpips", "lpips_mini")
FIRST_METRICS = [m for m in FIRST_METRICS if m in config["metrics"]["names"]]
FIRST_METRICS = FIRST_METRICS or config["metrics"]["names"][:3]
SHOWN_TABLES = [t for t in TABLES if RATED or t not in ("thresholds", "agreement")]
STUDY_PAGES = [*SHOWN_TABLES, "poses", "baseline", "settings"]


def report_outputs():
    """Every file of the report."""
    return [*measured_outputs(), *expand(f"{R}/plots/costs.{{kind}}", kind=["png", "html"])]


def all_rules(wildcards):
    """The names of all rules, by which the benchmarks are told apart."""
    return rule_names(workflow)


def measured_outputs():
    """Every file of the report whose making the figure of times and memory shows."""
    return [
        f"{R}/plots/overview.html",
        f"{R}/plots/overview.jpg",
        f"{R}/explorer.html",
        *expand(f"{R}/plots/{{page}}.html", page=STUDY_PAGES),
        *compared_true_edits(),
        *expand(
            f"{R}/plots/{{metric}}.{{figure}}.png",
            metric=TABLED,
            figure=STUDY_FIGURES,
        ),
        *expand(f"{R}/{{subject}}/adjacency.png", subject=SUBJECTS),
        *expand(
            f"{R}/plots/{{subject}}/{{picture}}",
            subject=SUBJECTS,
            picture=["photographs.jpg", "avatars.jpg"],
        ),
        *expand(
            f"{R}/plots/{{subject}}/inconsistency_{{avatar}}.jpg",
            subject=SUBJECTS,
            # The map is a value per splat.
            avatar=[] if NERF else AVATARS,
        ),
    ]


def of_avatars(path):
    """A path below each avatar's folder of one subject, for all its avatars."""
    return [f"{R}/{{subject}}/avatars/{avatar}/{path}" for avatar in AVATARS]


def true_edits(wildcards):
    """Photographs of the true edits, one folder per prompt. Only procedural heads have them."""
    known = [p for p in PROMPTS if prompts[p].get("operator")]
    if wildcards.subject not in PROCEDURAL:
        return []
    return [f"{R}/{wildcards.subject}/true_edits/{prompt}" for prompt in known]


def known_truth(subject, prompt):
    """The folder of a scene's true edit; null where it is unknown."""
    known = subject in PROCEDURAL and prompts[prompt].get("operator")
    return f"{R}/{subject}/true_edits/{prompt}" if known else None


def compared_true_edits():
    """The table page of scores against the true edits, where there are any."""
    known = any(known_truth(s, p) for s in SUBJECTS for p in PROMPTS)
    return [f"{R}/plots/true_edits.html"] if known and STRENGTHS else []


def all_of_avatars(path):
    """A path below the folder of every avatar of the subjects that have true edits."""
    return [f"{R}/{s}/avatars/{avatar}/{path}" for s in PROCEDURAL for avatar in AVATARS]


def of_subjects(path):
    """A path below each subject's folder, for all subjects."""
    return [f"{R}/{subject}/{path}" for subject in SUBJECTS]


def archived(path, of_baselines=True):
    """For the archive: a path below the folder of each avatar, and of each baseline."""
    scenes = [*(["baseline"] * of_baselines), *(f"avatars/{avatar}" for avatar in AVATARS)]
    return lambda wildcards: [f"{R}/{s}/{scene}/{path}" for s in SUBJECTS for scene in scenes]


def archived_cameras(wildcards):
    """For the archive: the cameras of each subject's views."""
    return of_subjects("views/cameras.json")


def archived_pages(wildcards):
    """For the archive: the report's pages and figures, and the report itself if it was written."""
    stages = ["photographs.jpg", "masks.jpg", "views.jpg", "baseline.jpg", "depth.jpg"]
    stages += ["training.png", "avatars.jpg", "avatars_training.png", "strip.jpg"]
    sheets = [f"avatar_{avatar}.jpg" for avatar in AVATARS]
    compared = [f"compare_{prompt}.html" for prompt in PROMPTS]
    pictures = [f"{R}/plots/{s}/{name}" for s in SUBJECTS for name in (*stages, *sheets, *compared)]
    report_file = Path(R, "report.html")
    written = [str(report_file)] if report_file.exists() else []
    return list(dict.fromkeys([*report_outputs(), *pictures, *written]))


def page_assets():
    """Digest of the pages' styles and scripts. Editing one rewrites the pages."""
    digest = hashlib.sha256()
    for path in sorted((LIBRARY / "headstyle" / "report" / "assets").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def settings_digest():
    """Digest of all settings. Changing one rewrites the page that shows them."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def edited_at():
    """The iterations at which all views are edited again."""
    return later_passes(config["stylization"])


def stage_picture(number, name, suffix="jpg"):
    """A picture of one stage of one subject, with its place in the report."""
    return report(
        f"{R}/plots/{{subject}}/{name}.{suffix}",
        caption=f"../report/{name}.rst",
        category="2 Subjects",
        subcategory="{subject}",
        labels={"figure": f"{number} {name}"},
    )


def avatar_sheet(avatar):
    """The contact sheet of one avatar, with its place in the report."""
    return report(
        f"{R}/plots/{{subject}}/avatar_{avatar}.jpg",
        caption="../report/avatar.rst",
        category="3 Avatars",
        subcategory="{subject}",
        labels={"figure": "4 edits and avatar", "avatar": avatar.replace("_", " ")},
    )


def compare_page(prompt):
    """The page that moves through the views of one prompt, with its place in the report."""
    return report(
        f"{R}/plots/{{subject}}/compare_{prompt}.html",
        caption="../report/compare.rst",
        category="3 Avatars",
        subcategory="{subject}",
        labels={"figure": "2 walk through the views", "avatar": prompt},
    )


def page_bytes():
    """Largest size of such a page [bytes]. All pages share a limit; each must open in a report."""
    share = 40_000_000 // max(1, STUDY_SIZE * len(PROMPTS))
    return min(1_400_000, max(400_000, share))


def made_films(wildcards):
    """Films of a subject's avatars that were made, or that this run is asked to make."""
    folder = f"{R}/{wildcards.subject}/avatars"
    films = [f"{folder}/{avatar}/film/beside_baseline.mp4" for avatar in AVATARS]
    asked = is_asked_for(workflow, "turntables")
    return [film for film in films if asked or Path(film).exists()]


def made_flicker(wildcards):
    """The tables of these films' scenes."""
    scenes = [str(Path(film).parent) for film in made_films(wildcards)]
    baseline = [f"{R}/{wildcards.subject}/baseline/film"] if scenes else []
    return [f"{folder}/flicker.csv" for folder in (*baseline, *scenes)]


def explorer_share(subjects, scenes):
    """About what a subject of so many scenes may weigh in the explorer [bytes].

    The page takes 1.5 MB a scene, and not over 110 MB.
    """
    whole = min(110_000_000, max(6_000_000, 1_500_000 * subjects * max(1, scenes)))
    return whole // max(1, subjects)


def avatars_picture(number, name, suffix, title):
    """A picture of all avatars of one subject, with its place in the report."""
    return report(
        f"{R}/plots/{{subject}}/{name}.{suffix}",
        caption=f"../report/{name}.rst",
        category="3 Avatars",
        subcategory="{subject}",
        labels={"figure": f"{number} {title}", "avatar": "all"},
    )


def study_figure(metric, figure):
    """One figure of the study, with its place in the report."""
    return report(
        f"{R}/plots/{metric}.{figure}.png",
        caption=f"../report/{figure}.rst",
        category="4 Consistency",
        labels={"figure": numbered(STUDY_FIGURES, figure), "metric": metric},
    )


def costs_file(kind, shown):
    """Time and memory of the stages as a figure or a page, with its place in the report."""
    return report(
        f"{R}/plots/costs.{kind}",
        caption="../report/costs.rst",
        category="6 Run",
        labels={"time and memory": shown},
    )


def table_page(name):
    """One table as a page, with its place in the report."""
    return report(
        f"{R}/plots/{name}.html",
        caption=f"../report/table_{name}.rst",
        category="5 Tables",
        labels={"table": numbered(STUDY_PAGES, name), "as": "page"},
    )


def study_tables():
    return expand(f"{R}/tables/{{table}}.csv", table=TABLES)


def study_table(name):
    """One of the study's tables as a file to download, with its place in the report."""
    path = f"{R}/tables/{name}.csv"
    if name not in SHOWN_TABLES:
        return path
    return report(
        path,
        caption=f"../report/table_{name}.rst",
        category="5 Tables",
        labels={"table": numbered(STUDY_PAGES, name), "as": "spreadsheet (CSV)"},
    )


def numbered(names, name):
    """A label that keeps the order of the names in the report, which sorts by label."""
    return f"{names.index(name) + 1} {name.replace('_', ' ')}"
