"""What an inspection found."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstyle.base.cameras import Cameras

SUBJECT_COLUMNS = (
    *("subject", "source", "seed", "photographs", "masks", "poses", "rig", "pronoun"),
)
"""Columns of the subjects table."""


@dataclass
class Findings:
    """What a path holds, in the order in which it is told."""

    title: str
    """What the path is, in a few words."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """What was found: a word or two, and what there is to say."""
    pictures: Mapping[str, Path] = field(default_factory=dict)
    """The image of each view, for the contact sheet."""
    cameras: Cameras | None = None
    """Posed views as pinholes, without their distortion."""
    splats: Path | None = None
    """A file of splats to draw."""
    subject: Mapping[str, str] = field(default_factory=dict)
    """A row of the subjects table; empty where the path can be no subject."""

    def say(self, what: str, words: str) -> None:
        """Add a line; without words there is nothing to say."""
        if words:
            self.lines.append((what, words))

    def add(self, other: "Findings") -> None:
        """Add all that another look at the same path found; what is known already stays."""
        self.lines += other.lines
        self.pictures = self.pictures or other.pictures
        self.cameras = self.cameras or other.cameras
        self.splats = self.splats or other.splats
        self.subject = {**other.subject, **self.subject}

    def text(self) -> str:
        """All lines, below the title."""
        widest = max((len(what) for what, _ in self.lines), default=0)
        told = [f"  {what:<{widest}}  {words}" for what, words in self.lines]
        return "\n".join([self.title, *told])

    def row(self) -> list[tuple[str, ...]]:
        """The head of the subjects table and the subject's row; empty without a subject."""
        if not self.subject:
            return []
        cells = tuple(self.subject.get(column, "") for column in SUBJECT_COLUMNS)
        return [SUBJECT_COLUMNS, cells]


def subject_name(path: Path) -> str:
    """A name for a subject after its folder: letters, digits and hyphens."""
    generic = {"images", "photographs", "photos", "input", "views", "rgb", ""}
    parts = [part for part in path.absolute().parts if part.lower() not in generic]
    name = re.sub(r"[^A-Za-z0-9]+", "-", parts[-1] if parts else "").strip("-")
    return name or "subject"


def counted(items: Iterable[object], most: int = 6) -> str:
    """Equal items with their counts, the most frequent first: `12 portrait, 3 landscape`."""
    counts: dict[str, int] = {}
    for item in items:
        counts[str(item)] = counts.get(str(item), 0) + 1
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    told = [f"{count} {item}" for item, count in ordered[:most]]
    more = len(ordered) - most
    return ", ".join(told) + (f" and {more} more kinds" if more > 0 else "")


def named(names: Iterable[str], most: int = 5) -> str:
    """The first names of a list, and how many there are besides."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
