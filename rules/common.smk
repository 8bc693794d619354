"""Reads and checks the configuration and the tables. Defines functions for the rules' inputs."""

import runpy
import sys
from functools import cache
from pathlib import Path

# Loaded by its path, as it finds out where the library is: another workflow may use this one as a
# module, from another folder or from a Git repository.
INTERNALS = runpy.run_path(
    workflow.source_path("../workflow_scripts/headstyle/workflow/snakemake_internals.py")
)
try:
    HOME = INTERNALS["source_folder"](workflow).parent
    IMAGE = INTERNALS["stage_image"](workflow)
except ValueError as error:
    sys.exit(f"Error: {error}")
LIBRARY = HOME / "workflow_scripts"
INTERNALS["search_first"](LIBRARY)
INTERNALS["promise_gpus"](workflow)

from headstyle.workflow import configuration

from headstyle.workflow import provenance
from headstyle.base.study import instruction_text
from headstyle.avatars.settings import avatar_stylization, check_chains, check_stylization
from headstyle.avatars.files import SCENE_FILES
from headstyle.avatars.strength_sweep import check_sweep
from headstyle.radiance.settings import ONLY_SPLATS, check_representation
from headstyle.editing.registry import (
    avatar_editing,
    check_editing,
    editor_note,
    gpus_of_avatars,
    note_is_harmless,
    strength_values,
    weights_editing,
)
from headstyle.base.errors import InputError
from headstyle.workflow.needs import Needs, per_thread, with_attempt
from headstyle.workflow.planning.parts import REST, subjects_of_part
from headstyle.workflow.planning.patterns import any_of
from headstyle.workflow.planning.shortcuts import take_shortcuts
from headstyle.workflow.failures import describe_failures, written_at
from headstyle.workflow.running.lines import where_to_look
from headstyle.workflow.snakemake_internals import (
    available_cores,
    config_files,
    is_asked_for,
    planned_jobs,
    plan_only,
    planned_logs,
    rule_names,
    rules_with,
    runs_on_this_machine,
)
from headstyle.workflow.stylization_plan import turn, write_plan
from headstyle.review import plans
from headstyle.base.locks import claim_folder
from headstyle.importers.cameras import readable_companions
from headstyle.importers.settings import braced_files, check_foreign, plain_files
from headstyle.consistency.external.settings import check_external
from headstyle.consistency.metrics import available_metrics
from headstyle.posing.photographs import list_photographs
from headstyle.rigged.mesh_files import check_rigged
from headstyle.posing.developing.sources import files_to_develop

take_shortcuts()

SCHEMAS = HOME / "config" / "schemas"


def find_tables():
    """The paths of the subjects, the prompts and the ratings, after every key was checked."""
    # Who uses this workflow as a module may hand over only the settings that differ.
    defaults = configuration.read_defaults(HOME / "config" / "config.yaml")
    configuration.fill_in(config, defaults)
    configuration.check_config_files(config_files(workflow))
    configuration.check_config(config, SCHEMAS / "config.schema.yaml")
    configuration.check_results_dir(config["results_dir"])
    configuration.fill_in_declared(config)
    named = (config["subjects_table"], config["prompts_table"], config["summary"]["ratings"])
    return [configuration.find_table(path, HOME) if path else [] for path in named]


def read_study():
    """The subjects and prompts tables, after every chosen name was checked."""
    subjects = configuration.read_checked_rows(
        SUBJECTS_TABLE, "subject", SCHEMAS / "subjects.schema.yaml"
    )
    prompts = configuration.read_checked_rows(
        PROMPTS_TABLE, "prompt", SCHEMAS / "prompts.schema.yaml"
    )
    study = config["study"]
    # null takes all rows of the table.
    study["subjects"] = list(subjects) if study["subjects"] is None else study["subjects"]
    study["prompts"] = list(prompts) if study["prompts"] is None else study["prompts"]
    for key, known, where in (
        ("subjects", subjects, SUBJECTS_TABLE),
        ("prompts", prompts, PROMPTS_TABLE),
        ("strengths", config["strengths"], "the config key strengths"),
    ):
        configuration.check_selection(f"study.{key}", study[key], known, where)
    configuration.check_selection(
        "metrics.names",
        config["metrics"]["names"],
        available_metrics(),
        "headstyle/consistency/metrics",
    )
    for entry in config["metrics"]["external"].values():
        entry["path"] = configuration.find_table(entry["path"], HOME)
    check_external(config["metrics"]["external"], available_metrics())
    chosen = {name: config["strengths"][name] for name in study["strengths"]}
    check_editing(config["editing"], study["prompts"], chosen)
    check_stylization(config["stylization"], config["editing"])
    check_chains(prompts, study["prompts"], PROMPTS_TABLE)
    check_sweep(config["strength_sweep"], config["editing"])
    for subject in study["subjects"]:
        configuration.check_subject(subjects[subject], SUBJECTS_TABLE)
    check_representation(config, subjects)
    check_foreign(config["foreign"], study["subjects"])
    check_rigged(config["rigged"], study["prompts"])
    heads = [*study["subjects"], *config["rigged"]["subjects"]]
    configuration.check_names(heads, study["prompts"], study["strengths"])
    configuration.check_operators(
        [
            *((f"{PROMPTS_TABLE}, {p}", prompts[p].get("operator", "")) for p in study["prompts"]),
            *(("calibration.prompts", o) for o in config["calibration"]["prompts"] if o != "none"),
        ]
    )
    if RATINGS:
        configuration.check_ratings(RATINGS)
    return subjects, prompts


def read_photographs(subjects):
    """Paths of each subject that is not procedural: its photographs, and what they are made from."""
    paths, sources = {}, {}
    for subject in config["study"]["subjects"]:
        if subjects[subject]["source"] != "procedural":
            folder = subjects[subject]["photographs"]
            try:
                sources[subject] = [str(path) for path in files_to_develop(folder)]
                found = {} if sources[subject] else list_photographs(folder)
            except InputError as error:
                raise InputError(f"subject {subject}: {error}") from None
            paths[subject] = [str(path) for path in found.values()]
    return paths, sources


def take_part(subjects):
    """The number of the study's subjects. Those of other parts are forgotten, where there are parts."""
    study = config["study"]
    count = len(study["subjects"])
    study["subjects"] = subjects_of_part(study["subjects"], PART)
    for name in [name for name in subjects if name not in study["subjects"]]:
        del subjects[name]
    return count


def plan_part():
    """Plan a part's subjects without what belongs to the whole study, or only that."""
    of_study = frozenset(rule_names(workflow)) - rules_with(workflow, "subject")
    if PART == REST:
        plan_only(workflow, omitted=frozenset(), allowed=of_study)
    elif PART:
        # The models are checked first in each run.
        plan_only(workflow, omitted=of_study - {"check_models"}, allowed=frozenset())


try:
    SUBJECTS_TABLE, PROMPTS_TABLE, RATINGS = find_tables()
    # Not one of the settings: it changes no result.
    PART = config.pop("part")
    subjects, prompts = read_study()
    STUDY_SIZE = take_part(subjects)
    photographs, undeveloped = read_photographs(subjects)
except InputError as error:
    # A traceback would hide the message among lines of this file.
    sys.exit(f"Error: {error}")

# Files of the user are read where they lie, also where the results lie in a store.
SUBJECTS_TABLE, PROMPTS_TABLE, RATINGS = map(local, (SUBJECTS_TABLE, PROMPTS_TABLE, RATINGS))

R = config["results_dir"].rstrip("/")
SUBJECTS = config["study"]["subjects"]
PROMPTS = config["study"]["prompts"]
STRENGTHS = config["study"]["strengths"]
# The section of radiance fields where scenes are such; splats need none of it.
NERF = config["nerf"] if config["representation"] == "nerf" else None
SCENE_FILE = SCENE_FILES[config["representation"]]
TABLES = ["avatars", "views", "thresholds", "strengths", "agreement"]
AVATARS = [f"{prompt}_{strength}" for prompt in PROMPTS for strength in STRENGTHS]
# Metrics that were computed elsewhere, the section without them, and all columns of the tables.
EXTERNAL = config["metrics"]["external"]
MEASURED = {key: value for key, value in config["metrics"].items() if key != "external"}
TABLED = [*config["metrics"]["names"], *EXTERNAL]
needs = Needs.of_study(config, photographs)
PROCEDURAL = [s for s in SUBJECTS if subjects[s]["source"] == "procedural"]


onstart:
    # This process holds the claim until it ends in any way. Snakemake's own lock survives a kill.
    try:
        globals()["results_claim"] = claim_folder(R)
    except InputError as error:
        sys.exit(f"Error: {error}")
    globals()["logs_before"] = written_at(f"{R}/logs")
    write_plan(STYLIZATION_PLAN, planned_jobs(workflow, rules.stylize_avatar), AVATARS)
    for schedule in MADE_SCHEDULES:
        jobs = planned_jobs(workflow, rules.stylize_by_schedule)
        own = [job for job in jobs if job.wildcards["schedule"] == schedule]
        write_plan(schedule_plan(schedule), own, AVATARS)
    # For `headstyle status` and `headstyle diff`.
    plans.write_plan(R, config, planned_logs(workflow))


onsuccess:
    print(where_to_look(R), end="", file=sys.stderr)


onerror:
    # Other jobs may have run for hours after the failure, so describe it again at the end.
    before = globals().get("logs_before", {})
    print(describe_failures(f"{R}/logs", before), end="", file=sys.stderr)


wildcard_constraints:
    subject=any_of(SUBJECTS),
    prompt=any_of(PROMPTS),
    strength=any_of(STRENGTHS),


MODULES = provenance.Library(LIBRARY)


@cache
def library_digest(script):
    """Digest of all library modules that a stage script uses. Editing one reruns the stage."""
    return MODULES.digest(LIBRARY / f"{script}.py")


def keys_of(section, *keys):
    """Some keys of a section of the configuration, for a rule that depends only on these."""
    return {key: config[section][key] for key in keys}


def share_of_cores(jobs):
    """Threads per job if `jobs` equal jobs run at the same time on all cores.

    On a cluster each has a machine of its own, and `--cores` says how many threads it takes there.
    """
    jobs = jobs if runs_on_this_machine(workflow) else 1
    return max(1, available_cores(workflow) // max(1, jobs))


def subject_folder(subject):
    """Folder of a subject's photographs."""
    if subjects[subject]["source"] == "procedural":
        return f"{R}/{subject}/capture"
    if undeveloped[subject]:
        return f"{R}/{subject}/developed"
    return subjects[subject]["photographs"]


def subject_photographs(wildcards):
    """Input of a subject's masks: its photographs, or the index of those that a rule makes."""
    if wildcards.subject not in photographs:
        return f"{R}/{wildcards.subject}/capture/rig.tsv"
    if undeveloped[wildcards.subject]:
        return f"{R}/{wildcards.subject}/developed/developed.json"
    return local(plain_files(photographs[wildcards.subject]))


def subject_made_photographs(wildcards):
    """The folder of the photographs of a subject that brings none."""
    made = wildcards.subject not in photographs or undeveloped[wildcards.subject]
    return subject_folder(wildcards.subject) if made else []


def subject_capture(wildcards):
    """Photographs that are made, not brought: their folder and its index."""
    if not (folder := subject_made_photographs(wildcards)):
        return []
    return [folder, subject_photographs(wildcards)]


@cache
def given_masks(subject):
    """Where a subject's masks come from: its column, or the data set that its poses name."""
    row = subjects[subject]
    return row.get("masks") or (row["poses"] if readable_companions(row.get("poses")).masks else "")


def subject_masks(wildcards):
    """Masks that the later stages use: corrected by the other views, or as they were made."""
    given, settings = given_masks(wildcards.subject), config["masks"]
    # Whole photographs have no silhouette to compare.
    is_masked = given != "none" if given else bool(settings["steps"])
    applies = {"none": False, "made": not given, "all": True}[settings["agreement"]["apply"]]
    folder = "agreed_masks" if is_masked and applies else "masks"
    return f"{R}/{wildcards.subject}/{folder}/masks.json"


def subject_mask_images(wildcards):
    """The folder of the masks that the later stages use."""
    return str(Path(subject_masks(wildcards)).parent)


def subject_splats(wildcards):
    """The file of a subject's known splats, if there is one."""
    return local(subjects[wildcards.subject].get("splats") or [])


def of_splats_alone(path):
    """Input of a rule that only splats have. It stops the run where scenes are fields."""

    def found(wildcards):
        if NERF:
            raise InputError(ONLY_SPLATS)
        return path.format(**wildcards)

    return found


def subject_rig(wildcards):
    """The file with row and column of each view, if there is one."""
    if wildcards.subject in PROCEDURAL:
        return f"{R}/{wildcards.subject}/capture/rig.tsv"
    return local(subjects[wildcards.subject].get("rig") or [])


def instruction(subject, prompt):
    """The instruction for a subject: the prompt's text with the subject's pronoun inserted."""
    return instruction_text(prompts[prompt]["text"], subjects[subject].get("pronoun"))


def captions(subject, prompt):
    """What the head is before and after the edit; null where the prompts table does not say."""
    row = prompts[prompt]
    texts = [row.get(f"caption_{when}", "") for when in ("before", "after")]
    pronoun = subjects[subject].get("pronoun")
    return [instruction_text(text, pronoun) for text in texts] if all(texts) else None


def prompt_text(wildcards):
    """The instruction of an avatar."""
    return instruction(wildcards.subject, wildcards.prompt)


@cache
def editing_by(prompt):
    """The editing settings that shape the avatars of a prompt: one object for all of them."""
    return avatar_editing(config["editing"], prompt)


def prompt_editing(wildcards):
    """The editing settings that shape an avatar."""
    return editing_by(wildcards.prompt)


def prompt_after(wildcards):
    """The prompt whose avatar a prompt starts from; empty for one that starts from the baseline."""
    return prompts[wildcards.prompt].get("after", "")


def avatar_start(wildcards):
    """The scene that an avatar starts from: the baseline, or the avatar of an earlier prompt."""
    after = prompt_after(wildcards)
    scene = f"avatars/{after}_{wildcards.strength}" if after else "baseline"
    return f"{R}/{wildcards.subject}/{scene}"


def avatar_start_splats(wildcards):
    """The scene file that an avatar starts from."""
    return f"{avatar_start(wildcards)}/{SCENE_FILE}"


def avatar_start_renders(wildcards):
    """The renders of the scene that an avatar starts from."""
    return f"{avatar_start(wildcards)}/renders"


def avatar_turn(wildcards):
    """Priority of an avatar's job."""
    return turn(f"{wildcards.prompt}_{wildcards.strength}", AVATARS)


def avatar_strength(wildcards):
    """The values of an avatar's strength, by the names of the editor's knobs."""
    return strength_values(config["editing"], config["strengths"], wildcards.strength)


STYLIZATION_PLAN = f"{R}/.stylization.json"


def needs_matting():
    """Whether any subject's masks are made with the matting network."""
    return "matting" in config["masks"]["steps"] and any(
        not given_masks(subject) for subject in SUBJECTS
    )
