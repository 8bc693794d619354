"""Every kind of file that a stage makes: damaged, it is told by name where it is read."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from headstyle.base.errors import InputError
from headstyle.workflow.manifests import checked, manifest_path, read_manifest
from study import Study

# Logs and benchmarks are read by people only. The lock and the plan belong to one run.
NO_RESULTS = ("logs", "benchmarks")


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def of_another_run(content: bytes) -> bytes:
    """As long, and as well-formed as text can be."""
    swapped = content.translate(bytes.maketrans(b"0123456789", b"1234567890"))
    return swapped if swapped != content else content[::-1]


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (truncate, empty, flip_a_bit, of_another_run)


def results_of(study: Study) -> Path:
    return study.folder / "results"


def declared_outputs(results: Path) -> list[Path]:
    """All outputs that have checksums."""
    found = results.rglob(".*.sha256")
    return sorted(p.with_name(p.name.removeprefix(".").removesuffix(".sha256")) for p in found)


def kinds(results: Path) -> dict[str, tuple[Path, Path]]:
    """A file and the output it belongs to, of each kind: rule, output and suffix."""
    found = {}
    for output in declared_outputs(results):
        manifest = read_manifest(output)
        for name in manifest.files:
            path = output.parent / name
            kind = f"{manifest.rule}: {output.name}, {Path(name).parent.name}/*{path.suffix}"
            found.setdefault(kind, (path, output))
    return found


def test_every_file_of_the_results_has_a_checksum(finished):
    results = results_of(finished)
    known = {
        output.parent / name
        for output in declared_outputs(results)
        for name in read_manifest(output).files
    }
    made = {
        path
        for path in results.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(results).parts)
        and path.relative_to(results).parts[0] not in NO_RESULTS
    }
    # The report is made by Snakemake itself, from files that have checksums.
    assert {path.relative_to(results).as_posix() for path in made - known} <= {"report.html"}
    assert len(known) > 100


def test_every_kind_of_file_is_told_when_it_is_damaged_in_any_way(finished, record_property):
    found = kinds(results_of(finished))
    assert len(found) > 30
    told = 0
    for kind, (path, output) in found.items():
        whole = path.read_bytes()
        for damage in DAMAGES:
            path.write_bytes(damage(whole))
            try:
                with pytest.raises(InputError) as raised:
                    checked([output])
            finally:
                path.write_bytes(whole)
            assert f"{path} is damaged" in str(raised.value), kind
            assert f"delete {output} and run the same command again" in str(raised.value)
            told += 1
    checked(declared_outputs(results_of(finished)))
    record_property("damages told", told)
    print(f"\n{told} of {len(found) * len(DAMAGES)} damages of {len(found)} kinds of files told")


def test_the_advice_about_a_damaged_file_works(copy):
    results = results_of(copy) / "A"
    mask = results / "masks/r0c0.png"
    wanted = mask.read_bytes(), (results / "poses/poses.json").read_bytes()
    mask.write_bytes(flip_a_bit(wanted[0]))
    again = ("results/A/poses/poses.json", "--forcerun", "estimate_poses")
    output = copy.snakemake(*again, succeeds=False)
    assert "Traceback" not in output
    told = re.findall(r"delete (\S+) and run the same command again", output)[-1]
    assert "results/A/masks/r0c0.png is damaged" in output
    (copy.folder / told).unlink()
    copy.snakemake(*again)
    assert (mask.read_bytes(), (results / "poses/poses.json").read_bytes()) == wanted


def made_from(output: Path, results: Path) -> list[Path]:
    """The outputs of the stages that read an output."""
    return [
        made
        for made in declared_outputs(results)
        for source in read_manifest(made).sources
        if Path(os.path.normpath(made.parent / source)) == output
    ]


@pytest.mark.soak
def test_real_runs_tell_every_kind_of_damage(finished, tmp_path):
    """For each kind of file that a stage reads, a real run of that stage must tell the damage."""
    told, unread = 0, []
    for number, (kind, (path, output)) in enumerate(kinds(results_of(finished)).items()):
        made = made_from(output, results_of(finished))
        if not made:
            unread.append(kind)
            continue
        study = Study.copy_of(finished, tmp_path / str(number))
        target = made[0].relative_to(finished.folder)
        damaged = study.folder / path.relative_to(finished.folder)
        # As a disk damages it: the times stay.
        times, damage = damaged.stat(), DAMAGES[number % len(DAMAGES)]
        damaged.write_bytes(damage(path.read_bytes()))
        os.utime(damaged, ns=(times.st_atime_ns, times.st_mtime_ns))
        remove(study.folder / target)
        text = study.snakemake(str(target), succeeds=False)
        assert "Traceback" not in text, kind
        assert f"{damaged.relative_to(study.folder)} is damaged" in text, kind
        told += 1
        print(f"{kind}, {damage.__name__}: told by the stage of {target}", flush=True)
        shutil.rmtree(study.folder)
    print(f"{told} kinds of damage told by real runs; no stage reads {len(unread)} kinds")
    assert told > 20


def remove(path: Path) -> None:
    """Delete a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_damaged_manifest_is_made_again_with_its_output(copy):
    results = results_of(copy) / "A"
    views = results / "views" / "cameras.json"
    manifest_path(views).write_bytes(b"")
    with pytest.raises(InputError, match=r"checksums .* are damaged; delete .*cameras\.json"):
        checked([views])
