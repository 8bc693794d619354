"""Reads and checks the configuration and the tables; short functions that rules ask for inputs."""

import sys
import time
from functools import cache
from pathlib import Path

LIBRARY = Path(workflow.basedir) / "workflow_scripts"
sys.path.insert(0, str(LIBRARY))

from headstyle.workflow import configuration

from headstyle.workflow import provenance
from headstyle.editing.registry import check_editing
from headstyle.base.errors import InputError
from headstyle.workflow.failures import describe_failures
from headstyle.base.files import claim_folder, write_json
from headstyle.importers.settings import check_foreign, foreign_files
from headstyle.consistency.metrics import available_metrics
from headstyle.posing.photographs import list_photographs
from headstyle.base.devices import has_gpu

SCHEMAS = Path(workflow.basedir) / "config" / "schemas"


def read_study():
    """The subjects and prompts tables, after every key and every chosen name was checked."""
    configuration.check_config(config, SCHEMAS / "config.schema.yaml")
    subjects = configuration.read_table(
        config["subjects_table"], "subject", SCHEMAS / "subjects.schema.yaml"
    )
    prompts = configuration.read_table(
        config["prompts_table"], "prompt", SCHEMAS / "prompts.schema.yaml"
    )
    study = config["study"]
    # null takes all rows of the table.
    study["subjects"] = list(subjects) if study["subjects"] is None else study["subjects"]
    study["prompts"] = list(prompts) if study["prompts"] is None else study["prompts"]
    for key, known, where in (
        ("subjects", subjects, config["subjects_table"]),
        ("prompts", prompts, config["prompts_table"]),
        ("strengths", config["strengths"], "the config key strengths"),
    ):
        configuration.check_selection(f"study.{key}", study[key], known, where)
    configuration.check_selection(
        "metrics.names",
        config["metrics"]["names"],
        available_metrics(),
        "headstyle/consistency/metrics",
    )
    check_editing(config["editing"], study["prompts"])
    for subject in study["subjects"]:
        configuration.check_subject(subjects[subject], config["subjects_table"])
    check_foreign(config["foreign"], study["subjects"])
    return subjects, prompts


def read_photographs(subjects):
    """The photographs' paths of each subject of the study that is not procedural."""
    paths = {}
    for subject in config["study"]["subjects"]:
        if subjects[subject]["source"] != "procedural":
            try:
                found = list_photographs(subjects[subject]["photographs"])
            except InputError as error:
                raise InputError(f"subject {subject}: {error}") from None
            paths[subject] = [str(path) for path in found.values()]
    return paths


try:
    subjects, prompts = read_study()
    photographs = read_photographs(subjects)
except InputError as error:
    # An exception of Snakemake's would bury the sentence under places in this file.
    sys.exit(f"Error: {error}")

R = config["results_dir"].rstrip("/")
SUBJECTS = config["study"]["subjects"]
PROMPTS = config["study"]["prompts"]
STRENGTHS = config["study"]["strengths"]
TABLES = ["avatars", "views", "thresholds", "strengths", "agreement"]
AVATARS = [f"{prompt}_{strength}" for prompt in PROMPTS for strength in STRENGTHS]
FOREIGN = list(config["foreign"])
FOREIGN_NAMES = "|".join(FOREIGN) or "none"
PROCEDURAL = [s for s in SUBJECTS if subjects[s]["source"] == "procedural"]


onstart:
    # Held until this process ends, however it ends; Snakemake's own lock survives a kill.
    try:
        globals()["results_claim"] = claim_folder(R)
    except InputError as error:
        sys.exit(f"Error: {error}")
    write_stylization_plan(workflow.dag.needrun_jobs())


PARSED_AT = time.time()


onerror:
    # Other jobs may have gone on for hours since: what failed is said once more at the end.
    print(describe_failures(f"{R}/logs", PARSED_AT), end="", file=sys.stderr)


wildcard_constraints:
    subject="|".join(SUBJECTS),
    prompt="|".join(PROMPTS) or "none",
    strength="|".join(STRENGTHS) or "none",


@cache
def library_digest(script):
    """Digest of all library modules that a stage script uses: editing one reruns the stage."""
    return provenance.library_digest(LIBRARY / f"{script}.py")


def keys_of(section, *keys):
    """Some keys of a section of the configuration, for a rule that depends on no others."""
    return {key: config[section][key] for key in keys}


def share_of_cores(jobs):
    """Threads for each of `jobs` like jobs that run side by side on all cores."""
    return max(1, (workflow.cores or 1) // max(1, jobs))


# GPUs a training job claims: one where this machine has any. Cluster profiles set their own.
GPUS_PER_JOB = int(has_gpu())


def subject_folder(subject):
    """Where the photographs of a subject are."""
    if subjects[subject]["source"] == "procedural":
        return f"{R}/{subject}/capture"
    return subjects[subject]["photographs"]


def subject_photographs(wildcards):
    """What the masks of a subject are made from: its photographs, or the index of its capture."""
    return photographs.get(wildcards.subject, f"{R}/{wildcards.subject}/capture/rig.tsv")


def subject_rig(wildcards):
    """The file with row and column of each view, where there is one."""
    if wildcards.subject in PROCEDURAL:
        return f"{R}/{wildcards.subject}/capture/rig.tsv"
    return subjects[wildcards.subject].get("rig") or []


def instruction(subject, prompt):
    """The instruction for a subject: the prompt's text with the subject's pronoun in its place."""
    pronoun = subjects[subject].get("pronoun") or "them"
    return prompts[prompt]["text"].replace("{pronoun}", pronoun)


def prompt_text(wildcards):
    """The instruction of an avatar."""
    return instruction(wildcards.subject, wildcards.prompt)


# How the machine is used; a change of these redoes no avatar.
EDITING_MACHINE_KEYS = ["batch_size", "max_memory_gb", "compile", "device"]


def prompt_editing(wildcards):
    """The editing settings that shape an avatar: of the control operations only its prompt's."""
    editing = {k: v for k, v in config["editing"].items() if k not in EDITING_MACHINE_KEYS}
    operations = editing["control"]["operations"]
    own = {prompt: name for prompt, name in operations.items() if prompt == wildcards.prompt}
    return editing | {"control": editing["control"] | {"operations": own}}


def stylization_settings():
    """The settings of the section `stylization` that shape an avatar."""
    return {k: v for k, v in config["stylization"].items() if k != "avatars_per_job"}


STYLIZATION_PLAN = f"{R}/.stylization.json"


def write_stylization_plan(jobs):
    """Note which avatars this run makes, so that one job can make several of them."""
    own = ("prompt_text", "strength", "editing", "stylization", "baseline", "seed", "library")
    avatars = [
        {
            **{key: job.wildcards[key] for key in ("subject", "prompt", "strength")},
            "params": {key: job.params[key] for key in own},
            "folder": str(Path(job.output.run).parent),
        }
        for job in jobs
        if getattr(job, "rule", None) is not None and job.rule.name == "stylize_avatar"
    ]
    order = {name: place for place, name in enumerate(AVATARS)}
    avatars.sort(key=lambda avatar: order[f"{avatar['prompt']}_{avatar['strength']}"])
    if avatars:
        write_json(STYLIZATION_PLAN, avatars)
    else:
        Path(STYLIZATION_PLAN).unlink(missing_ok=True)


def scenes(subject):
    """Every scene of a subject that is measured."""
    return ["baseline", "floor", *(f"avatars/{avatar}" for avatar in AVATARS)]


def needs_matting():
    """Whether any subject's masks are made with the matting network."""
    return "matting" in config["masks"]["steps"] and any(
        not subjects[subject].get("masks") for subject in SUBJECTS
    )


def scene_images(wildcards):
    """Index of the images to compare: a scene's renders, or the photographs for the floor."""
    folder = f"{R}/{wildcards.subject}"
    return (
        f"{folder}/views/cameras.json"
        if wildcards.scene == "floor"
        else f"{folder}/{wildcards.scene}/renders"
    )


def scene_depth(wildcards):
    scene = "baseline" if wildcards.scene == "floor" else wildcards.scene
    return f"{R}/{wildcards.subject}/{scene}/depth"


def scene_labels(wildcards):
    """What the columns prompt and strength say of a scene."""
    if wildcards.scene.startswith("avatars/"):
        return wildcards.scene.removeprefix("avatars/").split("_")
    return ["photographs" if wildcards.scene == "floor" else "none", "none"]


def scene_floor(wildcards):
    """What a scene's pairs are held against: the baseline's, which itself has none."""
    if wildcards.scene == "baseline":
        return []
    return f"{R}/{wildcards.subject}/baseline/consistency/pairs.csv"


def scene_instruction(wildcards):
    """The text that an avatar's edit followed; null for scenes without one."""
    if not wildcards.scene.startswith("avatars/"):
        return None
    prompt, _ = scene_labels(wildcards)
    return instruction(wildcards.subject, prompt)


def foreign_inputs(wildcards):
    """All files of another method's scene."""
    return foreign_files(config["foreign"][wildcards.subject])


def is_fitted(scene):
    """Whether another method's scene gets its depth from splats fitted to its unedited views."""
    return not config["foreign"][scene].get("depths")


def foreign_depth(wildcards):
    """The depth of another method's scene: its own, or that of the fit to its unedited views."""
    folder = "fit/depth" if is_fitted(wildcards.subject) else "depth"
    return f"{R}/foreign/{wildcards.subject}/{folder}"


def foreign_splats(wildcards):
    """The unedited scene, where there is one."""
    scene = wildcards.subject
    return f"{R}/foreign/{scene}/fit/splats.ply" if is_fitted(scene) else []


def foreign_unedited(wildcards):
    """The index of the views before the edit, where they are given."""
    scene = wildcards.subject
    given = config["foreign"][scene].get("unedited")
    return f"{R}/foreign/{scene}/views/cameras.json" if given else []


def foreign_floor(wildcards):
    """What the pairs of another method's scene are held against, where there is anything."""
    scene = wildcards.subject
    given = config["foreign"][scene].get("unedited")
    return f"{R}/foreign/{scene}/unedited/consistency/pairs.csv" if given else []


def foreign_instruction(wildcards):
    """The text that another method's edit followed, where it is given."""
    return config["foreign"][wildcards.subject].get("instruction")


def foreign_tables(name):
    """The tables of all scenes of other methods, and of their unedited views where there are any."""
    tables = []
    for scene, entry in config["foreign"].items():
        folder = f"{R}/foreign/{scene}"
        tables.append(f"{folder}/consistency/{name}.csv")
        if entry.get("unedited"):
            tables.append(f"{folder}/unedited/consistency/{name}.csv")
    return tables
