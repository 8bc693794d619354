"""Files of strangers run no code, write nowhere else, and take a bounded amount of memory."""

import ast
import json
import re
import struct
import tomllib
import zipfile
import zlib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foreign_folder import write_scene
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_arrays, read_json, whole_folder, write_json
from headstyle.base.images import read_rgba
from headstyle.base.tables.frames import write_table
from headstyle.importers.depths import read_depth
from headstyle.importers.images import read_picture
from headstyle.importers.masks import read_mask_file
from headstyle.importers.scenes import read_scene
from headstyle.importers.settings import check_foreign
from headstyle.posing.masks import read_mask
from headstyle.rendering.splats import read_ply
from headstyle.report.pictures import cutout, outlined
from PIL import Image
from study import ROOT

SOURCES = [
    *(ROOT / "workflow_scripts").rglob("*.py"),
    *(ROOT / "rules").glob("*.smk"),
    ROOT / "Snakefile",
]
BANNED_CALLS = ("eval", "exec", "compile", "os.system", "os.popen", "pickle.load", "pickle.loads")


def calls(path: Path):
    """(function, call) of every call in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_no_module_unpickles_evaluates_or_opens_a_shell():
    modules = [module for module in SOURCES if module.suffix == ".py"]
    for path, name, call in ((module, *found) for module in modules for found in calls(module)):
        given = {k.arg: ast.unparse(k.value) for k in call.keywords if k.arg}
        assert name not in BANNED_CALLS, f"{path}:{call.lineno}"
        assert given.get("shell") != "True", f"{path}:{call.lineno}"
        assert given.get("allow_pickle") != "True", f"{path}:{call.lineno}"
        assert given.get("trust_remote_code") != "True", f"{path}:{call.lineno}"
        if name == "torch.load":
            assert given.get("weights_only") == "True", f"{path}:{call.lineno}"
        if name == "yaml.load":
            assert "safe" in given.get("Loader", "").lower(), f"{path}:{call.lineno}"
        if name.endswith("extractall"):
            assert given.get("filter") == "'data'", f"{path}:{call.lineno}"


TAGS = re.compile(r"<(?:td|th|p|h[1-4]|li|span|figcaption|html)[ >]")


def test_every_module_that_writes_html_escapes_what_it_puts_in():
    """The tests of each page try it with a script; here no further page is forgotten."""
    writing = {
        module.relative_to(ROOT / "workflow_scripts").as_posix(): module.read_text(encoding="utf-8")
        for module in (ROOT / "workflow_scripts").rglob("*.py")
    }
    pages = {name: text for name, text in writing.items() if TAGS.search(text)}
    assert len(pages) > 5
    for name, text in pages.items():
        # Text in tags, or text in the JSON of a script.
        assert "escape(" in text or '"<", "\\\\u003c"' in text, name


def test_no_rule_has_a_shell_command():
    for path in SOURCES:
        if path.suffix != ".py":
            assert not re.search(r"^\s+(shell|run):", path.read_text(), re.MULTILINE), path


def bomb(path: Path, side: int = 60_000) -> Path:
    """A PNG of a few kilobytes that decodes to side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def outline(path: Path) -> None:
    outlined(Image.new("RGB", (4, 4)), path)


@pytest.mark.parametrize(
    "read",
    [read_rgba, read_mask, read_picture, read_mask_file, outline, lambda path: cutout(path, 8)],
    ids=["own image", "own mask", "photograph", "given mask", "report's mask", "report's view"],
)
def test_an_image_that_unpacks_to_gigabytes_is_refused_unread(tmp_path, read):
    with pytest.raises(InputError, match=r"bomb\.png"):
        read(bomb(tmp_path / "bomb.png"))


def claiming(path: Path, name: str, shape: tuple[int, ...]) -> Path:
    """An .npz whose array says that it has this shape, with next to nothing behind it."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    text = header.encode().ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", array)
    return path


def test_an_array_that_claims_160_gb_is_refused_unread(tmp_path):
    path = claiming(tmp_path / "points.npz", "positions", (20_000_000_000,))
    with pytest.raises(InputError, match=r"points\.npz .* says that it holds 160 GB"):
        read_arrays(path, ["positions"], "sparse points", "make it again")
    path = claiming(tmp_path / "depth.npz", "depth", (200_000, 100_000))
    with pytest.raises(InputError, match=r"depth\.npz"):
        read_depth(path)


@pytest.mark.parametrize("damage", [lambda c: c[:40], lambda c: b"", lambda c: c[::-1]])
def test_damaged_arrays_are_told(tmp_path, damage):
    np.savez(tmp_path / "points.npz", positions=np.zeros((5, 3)))
    whole = (tmp_path / "points.npz").read_bytes()
    (tmp_path / "points.npz").write_bytes(damage(whole))
    with pytest.raises(InputError, match=r"points\.npz cannot be read as points.*; make it again"):
        read_arrays(tmp_path / "points.npz", ["positions"], "points", "make it again")


def test_arrays_of_objects_and_of_text_are_refused(tmp_path):
    for array in (np.array([{}], dtype=object), np.array(["text"])):
        np.savez(tmp_path / "a.npz", a=array)
        with pytest.raises(InputError, match="not numbers"):
            read_arrays(tmp_path / "a.npz", ["a"], "points", "make it again")


@pytest.mark.parametrize("count", ["1000000000", "9" * 30, "-1", "1e3"])
def test_a_ply_that_promises_more_than_it_has_is_refused_unread(tmp_path, count):
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\nproperty float x\n"
    (tmp_path / "a.ply").write_bytes(header.encode() + b"end_header\n" + bytes(40))
    with pytest.raises(InputError, match=r"a\.ply"):
        read_ply(tmp_path / "a.ply")


def test_json_nested_100000_deep_is_told(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"a\.json is not valid JSON"):
        read_cameras(tmp_path / "a.json")


CHANGES = {
    "no width": {"w": "1e999"},
    "infinite": {"w": float("1e300") * 1e300},
    "no angle": {"fl_x": None, "camera_angle_x": 0},
    "a wide angle": {"fl_x": None, "camera_angle_x": 4},
    "nested": {"transform_matrix": [[[[1]]]]},
    "a name that leads out": {"file_path": "../../../../etc/passwd"},
    "an absolute name": {"file_path": "/etc/passwd"},
    "no name": {"file_path": None},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_impossible_cameras_are_told(tmp_path, change):
    files = write_scene(tmp_path)
    content = read_json(files.cameras)
    frame = content["frames"][0] | change
    frame = {key: value for key, value in frame.items() if value is not None}
    content["frames"][0] = frame
    Path(files.cameras).write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"transforms\.json"):
        read_scene(files, "foreign.x", 8, 60)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../b", "", "x\0y", 5])
def test_a_view_whose_name_leads_out_of_its_folder_is_refused(tmp_path, name):
    view = {"width": 1, "height": 1, "K": np.eye(3).tolist(), "world_to_camera": np.eye(4).tolist()}
    write_json(tmp_path / "cameras.json", {"views": [view | {"name": name}]})
    with pytest.raises(InputError, match=r"cameras\.json is not a cameras\.json"):
        read_cameras(tmp_path / "cameras.json")


def test_a_folder_behind_a_link_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").touch()
    (tmp_path / "views").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="views is a link"), whole_folder(tmp_path / "views"):
        pass
    assert (tmp_path / "mine" / "precious.txt").exists()


@pytest.mark.parametrize("name", ["=1+1", "+1", "@x", "-2", "\tx"])
def test_names_that_a_spreadsheet_would_run_are_defused(tmp_path, name):
    table = pd.DataFrame({"view": [name], "rmse": [-0.5]})
    write_table(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text() == f"view,rmse\n'{name},-0.5\n"
    assert table["view"][0] == name


def test_scales_are_numbers(tmp_path):
    files = write_scene(tmp_path)
    entry = {"renders": files.renders, "cameras": files.cameras, "depths": files.depths}
    for scale in ("1e999", 0.0, "0"):
        with pytest.raises(InputError, match=r"foreign\.x\.depth_scale"):
            check_foreign({"x": entry | {"depth_scale": scale}}, [])


def test_a_zip_bomb_of_depth_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "depth.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (300000, 30000), }"
        text = header.ljust(117) + b"\n"
        with archive.open("median.npy", "w", force_zip64=True) as member:
            member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
            member.write(bytes(10_000_000))
    with pytest.raises(InputError, match="says that it holds 72 GB"):
        read_arrays(tmp_path / "depth.npz", ["median"], "depth", "make it again")


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
TOOLS = ("dev", "docs")
LICENSES = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
PACKAGES = [
    re.match(r"[\w.-]+", dependency)[0]
    for extra in (PROJECT["dependencies"], *(OPTIONAL[e] for e in OPTIONAL if e not in TOOLS))
    for dependency in extra
]


def stated(package: str) -> str:
    found = re.search(rf"^\| {re.escape(package)}(?: \(optional\))? \| ([^|]+) \|", LICENSES, re.M)
    assert found, f"docs/licenses.md lacks {package}"
    return found[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_license_of_every_package_is_listed_as_its_metadata_say(package):
    try:
        told = metadata(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    words = " ".join(
        [
            told.get("License-Expression") or "",
            (told.get("License") or "")[:60],
            *(c for c in told.get_all("Classifier") or [] if c.startswith("License")),
        ]
    )
    family = re.match(r"Apache|MIT|BSD|GPL|Matplotlib", stated(package))[0]
    known = re.findall(r"Apache|MIT|BSD|GPL|General Public|Python Software Foundation", words)
    same = {"General Public": "GPL", "Python Software Foundation": "Matplotlib"}
    assert not known or family in {same.get(word, word) for word in known}, words


def test_packages_for_development_are_listed_too():
    for dependency in [*OPTIONAL["dev"], *OPTIONAL["docs"]]:
        name = re.match(r"[\w.-]+", dependency)[0]
        assert name == "headstyle" or name in LICENSES, name


def test_the_models_are_listed():
    for model in ("instruct-pix2pix", "u2net", "SqueezeNet", "LPIPS", "CLIP", "DreamSim", "YuNet"):
        assert model in LICENSES
