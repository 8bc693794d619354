"""Truths about downloading weights, without a network."""

import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.editing.weights import PIPELINE_FILES
from headstyle.losses import lpips_networks
from headstyle.workflow import downloads

CONFIG = {
    "editing": {"editor": "instruct_pix2pix", "model": "some/one", "revision": "abc"},
    "stylization": {"lpips_weight": 0, "lpips_net": "alex", "lpips_weights": None},
    "metrics": {
        **{"names": ["rmse"], "lpips_net": "squeeze"},
        **{"lpips_weights": None, "clip_model": None},
    },
    "masks": {"matting_model": "u2net", "matting_weights": None},
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A model hub in a folder; `hub.asked` lists what was asked for."""
    asked, digests = [], {}

    def fetch(model, name, revision):
        asked.append((model, name, revision))
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        return str(path)

    def metadata(url):
        content = url.encode()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        plain = hashlib.sha256(content).hexdigest() if url.endswith("safetensors") else git
        return SimpleNamespace(etag=digests.get(url, plain))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.file_exists", lambda *name, revision: False)
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda model, name, revision: name)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", metadata)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return SimpleNamespace(asked=asked, digests=digests)


def download(config=CONFIG, with_avatars=True, with_matting=False):
    return downloads.download_all(config, with_avatars=with_avatars, with_matting=with_matting)


def test_a_pipeline_comes_at_its_revision(hub):
    files = download()
    assert {name for _, name, _ in hub.asked} >= set(PIPELINE_FILES)
    assert {(model, revision) for model, _, revision in hub.asked} == {("some/one", "abc")}
    assert all(path.is_file() for path in files)


def test_a_file_that_is_not_what_the_hub_says_is_refused(hub):
    hub.digests["unet/config.json"] = "0" * 40
    with pytest.raises(InputError, match=r"unet/config\.json has the digest"):
        download()


def test_what_lies_here_already_is_not_downloaded(hub, tmp_path):
    for model in ("mini", str(tmp_path)):
        editing = CONFIG["editing"] | {"model": model, "revision": None}
        assert download(CONFIG | {"editing": editing}) == []
    assert download(CONFIG | {"editing": {"editor": "control", "model": "some/one"}}) == []
    metrics = CONFIG["metrics"] | {"names": ["lpips_mini", "lpips_mini_corrected", "ssim"]}
    assert download(CONFIG | {"metrics": metrics}, with_avatars=False) == []
    assert hub.asked == []


def backbone(tmp_path, monkeypatch, digest=None):
    """A backbone on a site of its own, under a name that holds its digest."""
    site = tmp_path / "site"
    site.mkdir()
    digest = digest or hashlib.sha256(b"weights").hexdigest()[:8]
    (site / f"tiny-{digest}.pth").write_bytes(b"weights")
    monkeypatch.setitem(lpips_networks.BACKBONES, "squeeze", f"tiny-{digest}.pth")
    monkeypatch.setattr(lpips_networks, "DOWNLOADS", site.as_uri())
    metrics = CONFIG["metrics"] | {"names": ["lpips"]}
    return CONFIG | {"metrics": metrics, "editing": {"editor": "control"}}


def test_a_backbone_lands_in_torchs_cache(hub, tmp_path, monkeypatch):
    [path] = download(backbone(tmp_path, monkeypatch))
    assert path.parent == Path(torch.hub.get_dir(), "checkpoints")
    assert path.read_bytes() == b"weights"


def test_a_clip_model_comes_without_what_is_not_read(hub, tmp_path, monkeypatch):
    asked = []

    def fetch(model, revision, allow_patterns):
        assert revision == "0" * 40
        asked.append((model, allow_patterns))
        (tmp_path / "clip").mkdir(exist_ok=True)
        (tmp_path / "clip" / "model.safetensors").touch()
        return str(tmp_path / "clip")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    names = ["clip_consistency", "clip_similarity"]
    editing = {"editor": "control"}
    for model, expected in (
        ("some/clip", [tmp_path / "clip" / "model.safetensors"]),
        (str(tmp_path), []),
        (None, []),
    ):
        metrics = CONFIG["metrics"] | {"names": names, "clip_model": model}
        metrics["clip_revision"] = "0" * 40
        assert download(CONFIG | {"metrics": metrics, "editing": editing}) == expected
    assert {model for model, _ in asked} == {"some/clip"}
    assert "model.safetensors" in asked[0][1]
    assert not any("bin" in pattern for pattern in asked[0][1])


def test_a_damaged_backbone_is_refused(hub, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot be downloaded"):
        download(backbone(tmp_path, monkeypatch, digest="00000000"))


def test_without_a_network_everything_that_is_missing_is_told_at_once(hub, tmp_path, monkeypatch):
    def offline(*arguments, **options):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(InputError) as raised:
        download(CONFIG | {"metrics": CONFIG["metrics"] | {"names": ["lpips"]}})
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("some/one", "lpips"), strict=True):
        assert name in line
        assert "no route to host); run `snakemake --cores 1 models`" in line


def test_checksums_are_those_that_sha256sum_checks(tmp_path):
    file = tmp_path / "a file"
    file.write_bytes(b"content")
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(downloads.checksums([file]))
    check = ["sha256sum", "--check", "--quiet", str(sums)]
    assert subprocess.run(check, check=False).returncode == 0
    file.write_bytes(b"other")
    assert subprocess.run(check, check=False).returncode != 0
