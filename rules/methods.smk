"""The leaderboard's methods: where the renders of each lie, and what the workflow makes of them."""

from headstyle.avatars.schedules import available_schedules
from headstyle.leaderboard.methods import (
    BASELINE,
    TRUE_EDITS,
    VIEWS_ALONE,
    read_methods,
)

try:
    METHODS_TABLE = configuration.find_table(config["leaderboard"]["methods"], HOME)
    METHODS = {m.name: m for m in read_methods(METHODS_TABLE, available_schedules())}
except InputError as error:
    sys.exit(f"Error: {error}")
# Edits of the first cycle show what the editor makes of each view alone, with noise of its own.
ALONE_SCHEDULE = "igs2gs"
BOARD = f"{R}/leaderboard"
MADE_SCHEDULES = list(
    dict.fromkeys(
        ALONE_SCHEDULE if method.made == VIEWS_ALONE else method.made
        for method in METHODS.values()
        if method.made and not method.is_reference
    )
)
BOARD_STRENGTH = STRENGTHS[0]


def schedule_changes(schedule):
    """What the leaderboard's settings change for a schedule."""
    return config["leaderboard"]["schedules"].get(schedule, {})


def schedule_stylization(wildcards):
    """The settings of the section stylization that shape an avatar of a schedule."""
    chosen = {**config["stylization"], "schedule": wildcards.schedule}
    changes = schedule_changes(wildcards.schedule)
    return avatar_stylization(chosen | {k: v for k, v in changes.items() if k in chosen})


def schedule_editing(wildcards):
    """The editing settings that shape an avatar of a schedule."""
    editing, changes = prompt_editing(wildcards), schedule_changes(wildcards.schedule)
    return {**editing, **{k: v for k, v in changes.items() if k in editing}}


def schedule_plan(schedule):
    """The note of which avatars of a schedule this run makes."""
    return f"{BOARD}/.{schedule}.json"


def entry_input(method, subject, prompt):
    """The folder or files of a method's scene, for a rule's input; None where it has no scene."""
    method = METHODS[method]
    if method.made == BASELINE:
        return f"{R}/{subject}/baseline/renders"
    if method.made == TRUE_EDITS:
        return known_truth(subject, prompt)
    if method.made:
        is_alone = method.made == VIEWS_ALONE
        schedule = ALONE_SCHEDULE if is_alone else method.made
        avatar = f"{BOARD}/made/{schedule}/{subject}/avatars/{prompt}_{BOARD_STRENGTH}"
        return f"{avatar}/edits" if is_alone else f"{avatar}/renders"
    folder = method.renders(subject, prompt, BOARD_STRENGTH)
    return None if folder is None else str(folder)


def entry_scenes(method):
    """The scenes of a method, as the script takes them: subject, prompt, folders and texts."""
    scenes = []
    for subject in SUBJECTS:
        for prompt in PROMPTS:
            folder = entry_input(method, subject, prompt)
            if folder is not None:
                inner = f"{folder}/cycle0" if METHODS[method].made == VIEWS_ALONE else folder
                scenes.append(
                    {
                        **{"subject": subject, "prompt": prompt, "renders": inner},
                        **{"folder": f"{R}/{subject}", "truth": known_truth(subject, prompt) or ""},
                        "instruction": instruction(subject, prompt),
                        "captions": captions(subject, prompt),
                    }
                )
    return scenes


def entry_files(method):
    """All folders that rules make, or files, of a method's scenes."""
    found = {entry_input(method, s, p) for s in SUBJECTS for p in PROMPTS} - {None}
    if not METHODS[method].made:
        found = {str(path) for folder in found for path in Path(folder).glob("*.png")}
    return plain_files(sorted(found))


def entry_inputs(wildcards):
    """The renders of a method's scenes, and the true edits that they are held against."""
    truths = {known_truth(s, p) for s in SUBJECTS for p in PROMPTS} - {None}
    return sorted({*entry_files(wildcards.method), *truths})


def all_entries():
    """The renders of all methods."""
    return sorted({path for method in METHODS for path in entry_files(method)})


def board_scores(name):
    """The tables `pairs` or `views` of all methods."""
    return [f"{BOARD}/scores/{method}/{name}.csv" for method in METHODS]
