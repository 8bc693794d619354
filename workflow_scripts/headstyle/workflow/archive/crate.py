"""The description of an archive, in the form of RO-Crate 1.1 and Process Run Crate 0.5.

https://www.researchobject.org/ro-crate/specification/1.1/
https://www.researchobject.org/workflow-run-crate/profiles/process_run_crate/
"""

import mimetypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

METADATA = "ro-crate-metadata.json"
SUMS = "SHA256SUMS"
"""Checksums of all files but itself, in the format of `sha256sum --check`."""

RO_CRATE = "https://w3id.org/ro/crate/1.1"
PROCESS_RUN = "https://w3id.org/ro/wfrun/process/0.5"
# Of formats that the system's list of types lacks.
TYPES = {
    ".ply": "application/octet-stream",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    """Path in the archive, with `/` between its parts."""
    size: int
    """In bytes."""
    sha256: str
    """64 hex digits."""
    about: str
    """What it is, in words."""
    is_setting: bool = False
    """Whether it says how the study was to be made, and is no result."""


def crate(
    members: Sequence[Member], version: str, subjects: Sequence[str], written: datetime
) -> dict[str, Any]:
    """The contents of `ro-crate-metadata.json`.

    Args:
        members: All files but the description itself and the checksums.
        version: Of headstyle.
        subjects: Names of the study's subjects.
        written: When the archive is written, with its time zone.
    """
    settings = [member for member in members if member.is_setting]
    results = [member for member in members if not member.is_setting]
    moment = written.isoformat(timespec="seconds")
    heads = "head" if len(subjects) == 1 else "heads"
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": RO_CRATE},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Stylized Gaussian-splat avatars of {len(subjects)} {heads}",
            "description": "Settings, tables, report and Gaussian splats of a study of how"
            " multi-view consistent text-driven stylizations of head avatars are. Subjects:"
            f" {', '.join(subjects)}.",
            "datePublished": moment,
            "license": {"@id": "#license"},
            "conformsTo": {"@id": PROCESS_RUN},
            "hasPart": [*_references(members), {"@id": SUMS}],
            "mentions": {"@id": "#run"},
        },
        {
            "@id": PROCESS_RUN,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        {
            "@id": "#license",
            "@type": "CreativeWork",
            "name": "No license is stated",
            "description": "Who publishes this archive says what it may be used for.",
        },
        {
            "@id": "#headstyle",
            "@type": "SoftwareApplication",
            "name": "headstyle",
            "softwareVersion": version,
        },
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": "The run of headstyle that made the study",
            "instrument": {"@id": "#headstyle"},
            "object": _references(settings),
            "result": _references(results),
            "endTime": moment,
        },
        *map(_file, members),
        {
            "@id": SUMS,
            "@type": "File",
            "name": "Checksums of all other files",
            "encodingFormat": "text/plain",
        },
    ]
    terms = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
    return {"@context": [f"{RO_CRATE}/context", terms], "@graph": graph}


def _file(member: Member) -> dict[str, Any]:
    suffix = f".{member.name.rpartition('.')[2]}"
    kind = TYPES.get(suffix) or mimetypes.guess_type(member.name)[0] or TYPES[".ply"]
    return {
        "@id": quote(member.name),
        "@type": "File",
        "name": member.about,
        "encodingFormat": kind,
        "contentSize": str(member.size),
        "sha256": member.sha256,
    }


def _references(members: Iterable[Member]) -> list[dict[str, str]]:
    return [{"@id": quote(member.name)} for member in members]
