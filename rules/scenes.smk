"""The scenes that are measured: what each is made of, and what its tables call it."""

from headstyle.importers.settings import ForeignScene
from headstyle.rigged.mesh_files import files_of_sequence

# Every scene of a subject that is measured.
SCENES = ["baseline", "floor", *(f"avatars/{avatar}" for avatar in AVATARS)]


def scene_images(wildcards):
    """Index of the images to compare: a scene's renders, or the photographs for the floor."""
    folder = f"{R}/{wildcards.subject}"
    return (
        f"{folder}/views/cameras.json"
        if wildcards.scene == "floor"
        else f"{folder}/{wildcards.scene}/renders"
    )


def scene_photographs(wildcards):
    """The folder of the photographs that the floor compares."""
    return f"{R}/{wildcards.subject}/views" if wildcards.scene == "floor" else []


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


def scene_captions(wildcards):
    """What the head is before and after an avatar's edit; null for scenes without captions."""
    if not wildcards.scene.startswith("avatars/"):
        return None
    prompt, _ = scene_labels(wildcards)
    return captions(wildcards.subject, prompt)


FOREIGN = {name: ForeignScene(name, entry, R) for name, entry in config["foreign"].items()}
FOREIGN_NAMES = any_of(FOREIGN)


def foreign_scene(key):
    """For a rule: one of a `ForeignScene`'s paths, of the scene that the job is for."""
    return lambda wildcards: getattr(FOREIGN[wildcards.subject], key)


def foreign_tables(name):
    """The tables of all scenes of other methods, and of their unedited views where there are any."""
    return [path for scene in FOREIGN.values() for path in scene.tables(name)]


# Heads that move, and by how they are stylized, as folders.
RIGGED = config["rigged"]["subjects"]
RIGGED_AVATARS = [f"{p}/{s}" for p in config["rigged"]["prompts"] for s in STRENGTHS]
RIGGED_SCENES = ["photographs", "baseline", *(f"avatars/{avatar}" for avatar in RIGGED_AVATARS)]


def rigged_of(source):
    """A pattern of the moving heads from one source."""
    return any_of([name for name, entry in RIGGED.items() if entry["source"] == source])


def rigged_renders(wildcards):
    """The renders of a moving head's scene; the photographs lie beside their sequence."""
    folder = f"{R}/{wildcards.subject}/rigged"
    if wildcards.moving == "photographs":
        return []
    return (
        f"{folder}/renders"
        if wildcards.moving == "baseline"
        else f"{folder}/{wildcards.moving}/renders"
    )


def rigged_floor(wildcards):
    """What the pairs of a moving head's scene are held against; the baseline has none."""
    if wildcards.moving == "baseline":
        return []
    return f"{R}/{wildcards.subject}/rigged/baseline/temporal_pairs.csv"


def rigged_labels(wildcards):
    """What the columns prompt and strength say of a moving head's scene."""
    names = {"photographs": ["photographs", "none"], "baseline": ["none", "none"]}
    return names.get(wildcards.moving) or wildcards.moving.split("/")[1:]


def sequence_files(wildcards):
    """The files of a moving head that the user gives."""
    entry = RIGGED[wildcards.subject]
    return local(plain_files(files_of_sequence(entry["frames"], entry["meshes"])))


def rigged_training_keys(*more):
    """The settings that a rigged training depends on, and further keys of `rigged`."""
    return {key: config["rigged"][key] for key in ("training", *more)}


def rigged_baseline():
    """The settings of an avatar's training on a mesh: the baseline's, with the mesh's own limit."""
    return {**config["baseline"], "max_splats": config["rigged"]["training"]["max_splats"]}


def rigged_prompt_text(wildcards):
    """The instruction for a moving head, with the pronoun of the subject of its name, if any."""
    pronoun = subjects.get(wildcards.subject, {}).get("pronoun")
    return instruction_text(prompts[wildcards.prompt]["text"], pronoun)
