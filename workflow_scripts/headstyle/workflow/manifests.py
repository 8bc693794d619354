"""Checksums of what a stage made: written beside its outputs, checked by the stages that read them.

Beside the output `splats.ply` lies `.splats.ply.sha256`, and beside the folder `renders` lies
`.renders.sha256`. Their format is that of `sha256sum --check`. Comments say which rule made the
output and from what. A file without such a manifest is the user's own, or of an older version of
headstyle: it is read as it is.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.base.files import whole_file

_ENTRY = re.compile(r"([0-9a-f]{64})  (.+)")
_MADE_BY, _MADE_FROM, _END = "# made by ", "# made from ", "# digest of the lines above "


@dataclass(frozen=True)
class Manifest:
    """What a stage says of one of its outputs."""

    rule: str
    """The rule that made it."""
    files: Mapping[str, str]
    """SHA-256 of each of its files, by the path relative to the manifest's folder."""
    sources: Mapping[str, str]
    """`state` of each input that it was made from, by the path relative to the manifest's folder.
    Inputs without a manifest are left out."""

    @property
    def state(self) -> str:
        """One digest of the contents of all its files."""
        return _digest_of("\n".join(f"{digest}  {name}" for name, digest in self.files.items()))


def manifest_path(output: str | Path) -> Path:
    """Where the manifest of an output lies."""
    output = Path(output)
    return output.with_name(f".{output.name}.sha256")


def forget(outputs: Iterable[str | Path]) -> None:
    """Delete the manifests of outputs that are about to be made anew."""
    for output in outputs:
        manifest_path(output).unlink(missing_ok=True)


def write_manifests(
    rule: str,
    outputs: Iterable[str | Path],
    inputs: Mapping[Path, Manifest],
    index: str | Path | None = None,
) -> None:
    """Write the manifests of the outputs of a job that is done.

    Args:
        rule: The job's rule.
        outputs: Files and folders. One that the job did not make is left out, and so is the folder
            of the index, for which the index stands.
        inputs: What `checked` returned of the job's inputs.
        index: An output that stands for all files of its folder, such as `masks.json`.
    """
    for output in map(Path, outputs):
        if not output.exists() or (index and output == Path(index).parent):
            continue
        folder = output.parent
        whole = output == Path(index) if index else False
        found = _files_in(folder if whole else output)
        files = {path.relative_to(folder).as_posix(): digest_of_file(path) for path in found}
        sources = {
            Path(os.path.relpath(path, folder)).as_posix(): manifest.state
            for path, manifest in inputs.items()
        }
        with whole_file(manifest_path(output)) as partial:
            partial.write_text(_text(Manifest(rule, files, sources)), encoding="utf-8")


def checked(inputs: Iterable[str | Path]) -> dict[Path, Manifest]:
    """Check the inputs of a job, as far as they have manifests.

    Returns:
        The manifests, by the paths of the inputs.

    Raises:
        InputError: a file is missing or has other contents than the stage wrote; a manifest is
            damaged; or two inputs do not belong together, as one was made from another version of
            the other.
    """
    found: dict[Path, Manifest] = {}
    for path in map(Path, inputs):
        if path not in found and (manifest := read_manifest(path)):
            _check_files(path, manifest)
            found[path] = manifest
    states = {_place(path): manifest.state for path, manifest in found.items()}
    for path, manifest in found.items():
        for name, state in manifest.sources.items():
            source = _place(path.parent / name)
            if states.get(source, state) != state:
                raise InputError(
                    f"{path} was made from another {os.path.relpath(source)} than the one that is"
                    f" there now; {_make_again(path)}"
                )
    return found


def read_manifest(output: str | Path) -> Manifest | None:
    """The manifest of an output, or None where it has none.

    Raises:
        InputError: the manifest is damaged.
    """
    path = manifest_path(output)
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    body, mark, end = text.rpartition(_END)
    if not mark or end != f"{_digest_of(body)}\n":
        raise InputError(f"the checksums {path} are damaged; {_make_again(output)}")
    rule = ""
    files: dict[str, str] = {}
    sources: dict[str, str] = {}
    for line in body.splitlines():
        if line.startswith(_MADE_BY):
            rule = line.removeprefix(_MADE_BY)
        elif entry := _ENTRY.fullmatch(line.removeprefix(_MADE_FROM)):
            target = sources if line.startswith(_MADE_FROM) else files
            target[entry[2]] = entry[1]
    return Manifest(rule, files, sources)


def digest_of_file(path: str | Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(output: Path, manifest: Manifest) -> None:
    wrong: dict[Path, str] = {}
    for name, digest in manifest.files.items():
        path = output.parent / name
        try:
            if digest_of_file(path) != digest:
                wrong[path] = "is damaged or was changed"
        except FileNotFoundError:
            wrong[path] = "is missing"
        except OSError as error:
            wrong[path] = f"cannot be read ({error.strerror})"
    for path, what in wrong.items():
        more = f", and so are {len(wrong) - 1} more files" if len(wrong) > 1 else ""
        raise InputError(
            f"{path} {what} after the rule {manifest.rule} had made it{more}; {_make_again(output)}"
        )


def _make_again(output: str | Path) -> str:
    """The next move: deleting what is declared makes Snakemake run its rule again."""
    return (
        f"delete {output} and run the same command again (if you changed the files on purpose,"
        f" delete {manifest_path(output)} instead)"
    )


def _files_in(path: Path) -> list[Path]:
    """A file itself, or all files below a folder, sorted; without hidden ones."""
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    )


def _place(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _text(manifest: Manifest) -> str:
    lines = [f"{_MADE_BY}{manifest.rule}"]
    lines += [f"{_MADE_FROM}{state}  {name}" for name, state in manifest.sources.items()]
    lines += [f"{digest}  {name}" for name, digest in manifest.files.items()]
    body = "".join(f"{line}\n" for line in lines)
    return f"{body}{_END}{_digest_of(body)}\n"


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
