"""Write a study into one archive, file by file, without holding a file in memory.

The archive's comment is the SHA-256 of all bytes before it, so that no byte can change unseen.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from headstyle import __version__
from headstyle.base.files import whole_file
from headstyle.workflow.archive.crate import METADATA, SUMS, Member, crate

CHUNK = 1 << 20
"""Bytes that are read at once."""
DIGEST_LENGTH = 64
"""Bytes of the comment at the archive's end."""
# Splats and pictures hardly shrink.
PACKED_AS_THEY_ARE = {".ply", ".jpg", ".png"}
END_OF_SUMS = "# digest of the lines above "


@dataclass(frozen=True)
class Source:
    """What becomes a file of an archive."""

    name: str
    """Path in the archive, with `/` between its parts."""
    content: Path | str
    """A file, or the text itself."""
    about: str
    """What it is, in words."""
    is_setting: bool = False
    """Whether it says how the study was to be made, and is no result."""


def pack(path: Path, sources: Iterable[Source], subjects: Sequence[str]) -> list[Member]:
    """Write an archive.

    Args:
        path: The archive to write, whole or not at all.
        sources: Its files, in order.
        subjects: Names of the study's subjects.

    Returns:
        Its files without the description and the checksums.
    """
    now = datetime.now(UTC)
    with whole_file(path) as partial:
        with ZipFile(partial, "w", strict_timestamps=False) as archive:
            members = [_add(archive, source) for source in sources]
            text = json.dumps(crate(members, __version__, subjects, now), indent=1)
            about = _add(archive, Source(METADATA, f"{text}\n", "The description"))
            _add(archive, Source(SUMS, sums_of([*members, about]), "The checksums"))
            archive.comment = b"0" * DIGEST_LENGTH
        with partial.open("r+b") as file:
            digest = digest_before_comment(file)
            file.seek(-DIGEST_LENGTH, io.SEEK_END)
            file.write(digest.encode())
    return members


def sums_of(members: Iterable[Member]) -> str:
    """The text of the file of checksums. Its last line is a checksum of the lines above."""
    lines = "".join(f"{member.sha256}  {member.name}\n" for member in members)
    return f"{lines}{END_OF_SUMS}{hashlib.sha256(lines.encode()).hexdigest()}\n"


def digest_before_comment(file: IO[bytes]) -> str:
    """SHA-256 of all bytes of an archive before its comment."""
    left = file.seek(0, io.SEEK_END) - DIGEST_LENGTH
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _add(archive: ZipFile, source: Source) -> Member:
    # The same files give the same bytes, whenever they were written.
    info = ZipInfo(source.name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    stored = Path(source.name).suffix in PACKED_AS_THEY_ARE
    info.compress_type = ZIP_STORED if stored else ZIP_DEFLATED
    digest, size = hashlib.sha256(), 0
    if isinstance(source.content, str):
        reading: IO[bytes] = io.BytesIO(source.content.encode())
    else:
        info.file_size = source.content.stat().st_size
        reading = source.content.open("rb")
    with reading, archive.open(info, "w") as writing:
        while chunk := reading.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            writing.write(chunk)
    return Member(source.name, size, digest.hexdigest(), source.about, source.is_setting)
