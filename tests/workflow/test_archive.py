"""An archive of a study: what it says of itself, and that no byte of it changes unseen."""

import json
import random
import zipfile
from pathlib import Path

import pytest
from headstyle.base.errors import InputError
from headstyle.commands.main import main
from headstyle.workflow.archive.packing import Source, pack, sums_of
from headstyle.workflow.archive.verifying import verify

CONTENTS = {
    "config/settings.yaml": b"seed: 1\n",
    "results/tables/avatars.csv": b"subject,rmse\nA,0.1\n" * 40,
    "results/A/baseline/splats.ply": random.Random(1).randbytes(3000),
}


@pytest.fixture
def archive(tmp_path) -> Path:
    """A small archive."""
    sources = []
    for name, content in CONTENTS.items():
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sources.append(Source(name, path, name, is_setting=name.startswith("config")))
    pack(tmp_path / "archive.zip", sources, ["A"])
    return tmp_path / "archive.zip"


def unpacked(archive: Path) -> Path:
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def described(archive: Path) -> dict[str, dict]:
    with zipfile.ZipFile(archive) as file:
        graph = json.loads(file.read("ro-crate-metadata.json"))["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_an_archive_and_its_folder_are_intact(archive, capsys):
    assert verify(archive).files == len(CONTENTS) + 1
    assert main(["verify", str(archive)]) == 0
    assert "4 files" in capsys.readouterr().out
    assert verify(unpacked(archive)) == verify(archive)


def test_the_description_is_an_ro_crate_of_all_files(archive):
    entities = described(archive)
    root = entities["./"]
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert {"name", "description", "datePublished", "license"} <= set(root)
    assert {part["@id"] for part in root["hasPart"]} == {*CONTENTS, "SHA256SUMS"}
    run = entities[root["mentions"]["@id"]]
    assert run["object"] == [{"@id": "config/settings.yaml"}]
    assert {"@id": "results/A/baseline/splats.ply"} in run["result"]
    for name, content in CONTENTS.items():
        assert entities[name]["contentSize"] == str(len(content))


def references(value):
    """All identifiers that an entity refers to."""
    if isinstance(value, dict):
        yield from [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_every_entity_that_is_referred_to_is_described(archive):
    entities = described(archive)
    referred = {name for entity in entities.values() for name in references(entity)}
    assert {name for name in referred if not name.startswith("https:")} <= set(entities)


def test_every_single_byte_counts(archive):
    content = archive.read_bytes()
    places = range(0, len(content), 7)
    for place in places:
        archive.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError):
            verify(archive)


@pytest.mark.parametrize("name", [*CONTENTS, "ro-crate-metadata.json", "SHA256SUMS"])
def test_the_file_with_the_changed_byte_is_named(archive, name, capsys):
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo(name).header_offset + 30 + len(name)
        middle = start + file.getinfo(name).compress_size // 2
    content = bytearray(archive.read_bytes())
    content[middle] ^= 1
    folder = unpacked(archive)
    archive.write_bytes(content)
    assert main(["verify", str(archive)]) == 1
    assert f"{archive}: {name}" in capsys.readouterr().err
    changed = bytearray((folder / name).read_bytes())
    changed[len(changed) // 2] ^= 1
    (folder / name).write_bytes(changed)
    with pytest.raises(InputError, match=f"{name} is damaged or was changed"):
        verify(folder)


def test_a_file_that_is_missing_or_new_is_named(archive):
    folder = unpacked(archive)
    (folder / "results/new.txt").write_text("new")
    with pytest.raises(InputError, match=r"results/new.txt was added"):
        verify(folder)
    (folder / "results/tables/avatars.csv").unlink()
    with pytest.raises(InputError, match=r"avatars.csv is missing, and 1 more"):
        verify(folder)


def test_a_link_out_of_a_folder_is_not_followed(archive, tmp_path):
    folder = unpacked(archive)
    (folder / "results/tables/avatars.csv").unlink()
    (folder / "results/tables/avatars.csv").symlink_to(
        tmp_path / "study/results/tables/avatars.csv"
    )
    with pytest.raises(InputError, match="is a link"):
        verify(folder)


def forged(path: Path, *members: tuple[str, bytes]) -> Path:
    """An archive of a stranger, with a comment as long as ours."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in (("ro-crate-metadata.json", b"{}"), ("SHA256SUMS", b""), *members):
            file.writestr(name, content)
        file.comment = b"0" * 64
    return path


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out", "C:out", "a\\..\\out"])
def test_a_path_out_of_the_archive_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="leads out of the archive"):
        verify(forged(tmp_path / "bad.zip", (name, b"x")))


def test_a_path_out_of_the_folder_is_refused(archive):
    folder = unpacked(archive)
    member = type("Member", (), {"name": "../study/config/settings.yaml", "sha256": "0" * 64})
    (folder / "SHA256SUMS").write_text(sums_of([member]))
    with pytest.raises(InputError, match="leads out of the archive"):
        verify(folder)


def test_a_bomb_is_refused_before_it_is_read(tmp_path):
    bomb = forged(tmp_path / "bomb.zip", ("results/a.csv", bytes(50_000_000)))
    assert bomb.stat().st_size < 60_000
    with pytest.raises(InputError, match=r"results/a.csv is packed too small"):
        verify(bomb)


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive" * 40])
def test_another_file_is_told(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip cannot be read as an archive"):
        verify(tmp_path / "a.zip")


def test_another_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="is no archive of headstyle"):
        verify(tmp_path)


def test_an_archive_of_another_program_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.txt", "a")
    with pytest.raises(InputError, match="archive of headstyle"):
        verify(tmp_path / "a.zip")
