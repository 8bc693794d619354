"""What the page shows of one head: a rig, and the scenes whose views are compared.

A scene is an avatar of the study, or what another method rendered. Of the latter less is known: the
views before the edit, splats and depth may be missing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstyle.consistency.measuring import Comparison, read_comparison
from headstyle.report import pictures
from headstyle.report.explorer.legend import RENDERS, STUDY
from headstyle.report.sheets import Avatar, Subject

_SHOWN_CYCLES = 3

Layer = tuple[str, Path]
"""The name of a layer, and the folder of its {view}.png."""


@dataclass(frozen=True)
class ShownScene:
    """One scene: what it is called, and where its files lie."""

    name: str
    """Unique among the scenes of its subject."""
    prompt: str
    """What the tables call the prompt; or the text of the edit, or a word for it."""
    prompt_name: str
    """Name of the prompt in a few words, or empty."""
    text: str
    """Instruction to the editor, or empty."""
    strength: str
    """Name of the strength, or empty."""
    layers: Sequence[Layer]
    """Layers between the unedited ones and the true edit. The last one is the scene's renders."""
    depth: Path
    """Folder of {view}.npz that gives the geometry."""
    tables: Path
    """Folder of pairs.csv, views.csv and kinds.npz."""
    splats: Path | None = None
    """File of its splats, where it is known."""
    true_edit: Path | None = None
    """Folder of photographs of the true edit, where they are known."""
    film: Path | None = None
    """beside_baseline.mp4, where it was made."""
    flicker: Mapping[str, Path] = field(default_factory=dict)
    """flicker.csv of the scenes in the film, by their names."""


@dataclass(frozen=True)
class ShownSubject:
    """One head: its rig, its unedited views, and its scenes."""

    name: str
    cameras: Path
    """cameras.json."""
    adjacency: Path
    """adjacency.csv: which views are compared."""
    layers: Sequence[Layer]
    """Layers that all scenes share."""
    scenes: Sequence[ShownScene]
    unedited: Path | None = None
    """Folder of the views before the edit, where they are known."""
    splats: Path | None = None
    """splats.ply of the head before the edit, where it is known."""

    def comparison(self, scene: ShownScene) -> Comparison:
        """The views of a scene, as `measure_consistency` reads them."""
        images = scene.layers[-1][1]
        return read_comparison(
            self.cameras, images, scene.depth, self.adjacency, unedited=self.unedited
        )


def study_subject(
    subject: Subject,
    avatars: Sequence[Avatar],
    adjacency: Path,
    films: Collection[Path] = (),
) -> ShownSubject:
    """A subject of the study.

    Args:
        subject: The subject.
        avatars: Its avatars, maybe none.
        adjacency: adjacency.csv.
        films: The films beside the baseline that were made.
    """
    renders = subject.baseline / "renders"
    return ShownSubject(
        subject.name,
        subject.views / "cameras.json",
        adjacency,
        [("photograph", subject.views), (STUDY.before, renders)],
        [_avatar(avatar, subject.baseline, films) for avatar in avatars],
        renders,
        _splats(subject.baseline),
    )


def foreign_subject(
    name: str,
    instruction: str | None,
    *,
    cameras: Path,
    adjacency: Path,
    renders: Path,
    depth: Path,
    tables: Path,
    unedited: Path | None = None,
    splats: Path | None = None,
    own_splats: Path | None = None,
) -> ShownSubject:
    """What another method rendered, as a subject with one scene.

    Args:
        name: Name of the scene in the config.
        instruction: The text that the edit followed, where it is known.
        cameras, adjacency, unedited, splats: See `ShownSubject`.
        renders: Folder of {view}.png.
        depth, tables: See `ShownScene`.
        own_splats: The splats of the scene itself, where they are given.
    """
    scene = ShownScene(
        RENDERS.edited,
        instruction or RENDERS.edited,
        "",
        "",
        "",
        [(RENDERS.edited, renders)],
        depth,
        tables,
        own_splats,
    )
    before = [] if unedited is None else [(RENDERS.before, unedited)]
    return ShownSubject(name, cameras, adjacency, before, [scene], unedited, splats)


def _splats(folder: Path) -> Path | None:
    """The splats of a scene; None where the scene is a radiance field."""
    path = folder / "splats.ply"
    return path if path.exists() else None


def _avatar(avatar: Avatar, baseline: Path, films: Collection[Path]) -> ShownScene:
    cycles = pictures.evenly_spaced(avatar.cycles, _SHOWN_CYCLES)
    film = avatar.folder / "film" / "beside_baseline.mp4"
    filmed = {STUDY.before: baseline, STUDY.edited: avatar.folder}
    layers = [(f"edit, {folder.name.replace('cycle', 'cycle ')}", folder) for folder in cycles]
    return ShownScene(
        avatar.name,
        avatar.prompt,
        avatar.prompt_name,
        avatar.prompt_text,
        avatar.strength,
        [*layers, (STUDY.edited, avatar.folder / "renders")],
        avatar.folder / "depth",
        avatar.folder / "consistency",
        _splats(avatar.folder),
        avatar.true_edit,
        film if film in films else None,
        {name: folder / "film" / "flicker.csv" for name, folder in filmed.items()},
    )
