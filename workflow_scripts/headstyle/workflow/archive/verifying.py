"""Check an archive, or the folder that it was unpacked to, against its checksums.

Archives come from strangers: nothing is unpacked, no path is followed, and what is read is bounded
by the size of the archive.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from headstyle.base.errors import InputError
from headstyle.workflow.archive.crate import METADATA, SUMS
from headstyle.workflow.archive.packing import (
    CHUNK,
    DIGEST_LENGTH,
    END_OF_SUMS,
    digest_before_comment,
)

MOST_BYTES_OF_A_LIST = 1 << 28
"""Of the checksums, and of an archive's table of contents; a million files take half of it."""
MOST_TIMES_SMALLER = 200
"""A file that is packed by more than this is no text of a study: reading it might take days."""

_ENTRY = re.compile(r"([0-9a-f]{64})  (.+)")
_AGAIN = "get the archive again, or make it again with `snakemake archive`"
_END, _ZIP64_LOCATOR, _ZIP64_END = 22, 20, 56


@dataclass(frozen=True)
class Verified:
    """An archive in which nothing is wrong."""

    files: int
    """How many, without the checksums themselves."""
    bytes: int
    """Of all files together, as they are when they are unpacked."""


@dataclass(frozen=True)
class _Held:
    """What an archive or a folder holds."""

    names: frozenset[str]
    open: Callable[[str], IO[bytes]]
    """Raises many kinds of errors where the archive is damaged."""


def verify(path: Path) -> Verified:
    """Check all files of an archive.

    Args:
        path: What `snakemake archive` wrote, or the folder that it was unpacked to.

    Raises:
        InputError: a file is damaged, was changed, is missing or was added; a path leads out of the
            archive; or `path` is no such archive. Names the file.
    """
    if path.is_dir():
        return _check(path, _in_folder(path))
    with _opened(path) as archive:
        verified = _check(path, _in_archive(path, archive))
    with path.open("rb") as file:
        digest = digest_before_comment(file)
        if file.read(DIGEST_LENGTH) != digest.encode():
            raise InputError(
                f"{path} was changed between its files, which are intact; {_AGAIN}, or unpack it"
                " and check the folder"
            )
    return verified


def _check(path: Path, held: _Held) -> Verified:
    sums = _read_sums(path, held)
    wrong: dict[str, str] = {}
    size = 0
    for name, digest in sums.items():
        if name not in held.names:
            wrong[name] = "is missing"
            continue
        try:
            found, read = _digest(held, name)
        except _DAMAGES as error:
            wrong[name] = f"cannot be read ({error})"
            continue
        size += read
        if found != digest:
            wrong[name] = "is damaged or was changed"
    for name in sorted(held.names - {*sums, SUMS}):
        wrong[name] = "was added"
    for name, what in wrong.items():
        more = f", and {len(wrong) - 1} more files are not as they were" if len(wrong) > 1 else ""
        raise InputError(f"{path}: {_shown(name)} {what}{more}; {_AGAIN}")
    return Verified(len(sums), size)


# What zipfile and zlib raise where an archive is damaged; RuntimeError where it is encrypted.
_DAMAGES = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)


def _read_sums(path: Path, held: _Held) -> Mapping[str, str]:
    for name in (METADATA, SUMS):
        if name not in held.names:
            raise InputError(
                f"{path} is no archive of headstyle, as it has no {name}; name the file that"
                " `snakemake archive` wrote, or the folder that it was unpacked to"
            )
    try:
        with held.open(SUMS) as file:
            content = file.read(MOST_BYTES_OF_A_LIST + 1)
    except _DAMAGES as error:
        raise InputError(f"{path}: {SUMS} cannot be read ({error}); {_AGAIN}") from None
    body, mark, end = content.decode("utf-8", errors="replace").rpartition(END_OF_SUMS)
    entries = [_ENTRY.fullmatch(line) for line in body.splitlines()]
    whole = mark and end == f"{hashlib.sha256(body.encode()).hexdigest()}\n"
    if not whole or len(content) > MOST_BYTES_OF_A_LIST or not all(entries):
        raise InputError(f"{path}: {SUMS} is damaged or was changed; {_AGAIN}")
    sums = {entry[2]: entry[1] for entry in entries if entry}
    for name in sums:
        _check_name(path, name)
    return sums


def _digest(held: _Held, name: str) -> tuple[str, int]:
    """SHA-256 of a file, and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with held.open(name) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _in_folder(folder: Path) -> _Held:
    names = set()
    for place in folder.rglob("*"):
        if place.is_symlink():
            raise InputError(f"{place} is a link, which an archive never holds; {_AGAIN}")
        if not place.is_dir():
            names.add(place.relative_to(folder).as_posix())
    return _Held(frozenset(names), lambda name: (folder / name).open("rb"))


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with path.open("rb") as file:
            if _bytes_of_contents(file) > MOST_BYTES_OF_A_LIST:
                raise InputError(f"{path} has a table of contents of more than 256 MB; {_AGAIN}")
            archive = ZipFile(file)
            yield archive
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; name an archive or a folder") from None
    except _DAMAGES as error:
        raise InputError(f"{path} cannot be read as an archive ({error}); {_AGAIN}") from None


def _bytes_of_contents(file: IO[bytes]) -> int:
    """Size of the table of contents that an archive declares; `ZipFile` holds it in memory."""
    length = file.seek(0, 2)
    file.seek(max(0, length - DIGEST_LENGTH - _END - _ZIP64_LOCATOR - _ZIP64_END))
    tail = file.read()[:-DIGEST_LENGTH]
    if tail[-_END:][:4] != b"PK\5\6":
        raise BadZipFile("its end is not that of an archive of headstyle")
    declared: int = struct.unpack("<L", tail[-_END:][12:16])[0]
    locator = tail[-_END - _ZIP64_LOCATOR : -_END]
    if locator[:4] == b"PK\6\7":
        declared = max(declared, struct.unpack("<Q", tail[:_ZIP64_END][40:48])[0])
    return declared


def _in_archive(path: Path, archive: ZipFile) -> _Held:
    members: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        _check_name(path, member.filename)
        problem = (
            "is there twice"
            if member.filename in members
            else "is a link"
            if S_ISLNK(member.external_attr >> 16)
            else "is packed in another way than archives of headstyle are"
            if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED)
            else "is packed too small to be part of a study"
            if member.file_size > max(CHUNK, MOST_TIMES_SMALLER * member.compress_size)
            else ""
        )
        if problem:
            raise InputError(f"{path}: {_shown(member.filename)} {problem}; {_AGAIN}")
        members[member.filename] = member
    if sum(member.compress_size for member in members.values()) > path.stat().st_size:
        raise InputError(f"{path} says that its files are larger than it is itself; {_AGAIN}")
    return _Held(frozenset(members), lambda name: archive.open(members[name]))


def _check_name(path: Path, name: str) -> None:
    """Only plain relative paths: none that leads elsewhere on any system."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\x00-\x1f]", name):
        raise InputError(f"{path}: the path {_shown(name)} leads out of the archive; {_AGAIN}")


def _shown(name: str) -> str:
    """A name that cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
