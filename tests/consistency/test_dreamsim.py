"""Truths about DreamSim; its package, which need not be here, is a stand-in of the same face."""

import hashlib
import json
import socket
import sys
import zipfile
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from analytic import cameras_around, photograph
from headstyle.base.errors import InputError
from headstyle.consistency.metrics import dreamsim as ours
from headstyle.consistency.metrics import load_metrics, required_weights
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.scoring import score
from headstyle.workflow import downloads
from headstyle.workflow.configuration import config_schema
from PIL import Image
from safetensors.torch import save_file
from study import ROOT
from torch import nn

CPU = torch.device("cpu")
KIND = "open_clip_vitb32"
REAL = find_spec("dreamsim") is not None


class StandIn(nn.Module):
    """Embeds images by their small patches, less the mean, as DreamSim does with tokens."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 24, 8, 8)
        self.qkv = nn.Module()
        self.qkv.lora_A = nn.ModuleDict({"default": nn.Linear(2, 2, bias=False)})

    def embed(self, images):
        assert images.shape[1:] == (3, 224, 224)
        tokens = torch.tanh(3 * self.patches(images)).flatten(1)
        return tokens - tokens.mean(dim=1, keepdim=True)


def write_weights(folder, keys=("qkv.lora_A.weight",), kind=KIND):
    """The files that the package looks for, in its own layout."""
    adapter = folder / f"{kind}_single_lora"
    adapter.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}_pretrain.pth.tar").write_bytes(b"backbone")
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file({key: torch.ones(2, 2) for key in keys}, adapter / "adapter_model.safetensors")
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Calls of the stand-in for the package."""
    calls = []

    def build(**options):
        print("Using cached weights")
        calls.append(options)
        torch.manual_seed(0)
        return StandIn(), None

    package = ModuleType("dreamsim")
    package.dreamsim = build
    package.__spec__ = ModuleSpec("dreamsim", None)
    monkeypatch.setitem(sys.modules, "dreamsim", package)
    return calls


@pytest.fixture
def settings(asked, tmp_path):
    folder = write_weights(tmp_path / "weights")
    return {"names": ["dreamsim"], "dreamsim_type": KIND, "dreamsim_folder": str(folder)}


@pytest.fixture
def metric(settings):
    [loaded] = load_metrics(settings, CPU)
    return loaded


def textured(shift=0.0, size=(60, 80)):
    """Waves, moved to the right. Shape `(H, W, 3)`."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    waves = [0.5 + 0.3 * torch.sin((x - shift) * a + y * b) for a, b in ((0.5, 0.2), (0.3, 0.4))]
    return torch.stack([*waves, 0.5 + 0 * x], dim=2)


def batch_of(targets, warped, masks=None):
    """The pairs, compared on a disk off the middle."""
    if masks is None:
        y, x = np.mgrid[:60, :80]
        disk = torch.from_numpy(np.hypot(y - 30, x - 30) < 20)
        masks = disk.expand(len(targets), -1, -1)
    return PairBatch(torch.stack(targets), torch.stack(warped), masks)


def test_equal_images_differ_by_nothing_and_the_order_does_not_matter(metric):
    first, second = textured(), textured(1.5)
    assert metric(batch_of([first, second], [first, second])).tolist() == [0, 0]
    there, back = metric(batch_of([first, second], [second, first])).tolist()
    assert there == pytest.approx(back, rel=1e-12)
    assert 1e-3 < there < 2


def test_the_distance_is_one_minus_the_cosine_of_the_embeddings(metric):
    batch = batch_of([textured()], [textured(2)])
    images = (ours.network_input(i[0], batch.overlap[0]) for i in (batch.target, batch.warped))
    cosine = torch.cosine_similarity(*(metric.network.embed(image) for image in images))
    assert float(metric(batch)) == pytest.approx(1 - float(cosine), abs=1e-6)


def test_the_farther_a_texture_is_misplaced_the_larger_the_distance(metric):
    moved = [textured(shift) for shift in (0, 0.5, 1, 1.5, 2, 2.5, 3)]
    values = metric(batch_of([moved[0]] * len(moved), moved))
    assert (values.diff() > 0).all()


def test_nothing_outside_the_overlap_counts_nor_where_in_the_frame_it_lies(metric):
    pair = batch_of([textured()], [textured(1)])
    inside = pair.overlap[..., None]
    other = PairBatch(pair.target.where(inside, 0), pair.warped.where(inside, 9), pair.overlap)
    moved = (maps.roll((5, 17), (1, 2)) for maps in (pair.target, pair.warped, pair.overlap))
    assert torch.equal(metric(pair), metric(other))
    assert torch.equal(metric(pair), metric(PairBatch(*moved)))


def test_a_pair_that_shares_nothing_has_no_value(metric):
    masks = torch.zeros(2, 60, 80, dtype=torch.bool)
    masks[1, 10:50, 20:60] = True
    first, second = metric(batch_of([textured()] * 2, [textured(1)] * 2, masks))
    assert first.isnan()
    assert second > 0


@pytest.mark.parametrize("size", [(100, 100), (500, 500)])
def test_images_are_resized_as_the_package_does_it(size):
    # No colors near black and white, where Pillow clips between its two passes.
    image = np.random.default_rng(0).integers(60, 196, (*size, 3), dtype=np.uint8)
    ones = torch.ones(size, dtype=torch.bool)
    found = ours.network_input(torch.from_numpy(image) / 255, ones)[0].permute(1, 2, 0)
    expected = Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC)
    assert np.abs(found.numpy() * 255 - np.asarray(expected)).max() < 1.5


def test_views_are_scored_and_pairs_below_the_minimum_overlap_left_out(settings):
    cameras = cameras_around([-15, 0, 15], [(48, 56)] * 3)
    images, depths = photograph(cameras)
    table = score(images, depths, cameras, settings=settings)
    assert table["dreamsim"].between(0, 0.5).all()
    shared = table["coverage"].median()
    fewer = score(images, depths, cameras, settings=settings | {"min_overlap": shared})
    assert (fewer["dreamsim"].isna() == (fewer["coverage"] < shared)).all()
    assert fewer["dreamsim"].isna().any()


def test_the_package_gets_the_folder_prints_nothing_and_leaves_the_random_state_alone(
    settings, asked, capsys
):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_metrics(settings, CPU)
    assert torch.rand(1) == expected
    folder = settings["dreamsim_folder"]
    assert asked == [{"dreamsim_type": KIND, "cache_dir": folder, "device": "cpu"}]
    assert capsys.readouterr().out == ""


def test_no_type_is_offered_that_runs_code_from_the_network():
    schema = config_schema(ROOT / "config/schemas/config.schema.yaml")
    offered = schema["properties"]["metrics"]["properties"]["dreamsim_type"]["enum"]
    assert tuple(offered) == ours.TYPES == ("open_clip_vitb32", "clip_vitb32")
    for kind in ("ensemble", "dino_vitb16", "dinov2_vitb14", "synclr_vitb16"):
        with pytest.raises(InputError, match=f"metrics.dreamsim_type: '{kind}' is not one of"):
            load_metrics({"names": ["dreamsim"], "dreamsim_type": kind}, CPU)


def test_without_the_package_it_is_told_how_to_get_it(settings, monkeypatch):
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package dreamsim: pip install .* take drea"):
        required_weights(settings)
    with pytest.raises(InputError, match="needs the package dreamsim"):
        load_metrics(settings, CPU)


def test_a_package_that_cannot_be_imported_is_told(settings, monkeypatch):
    broken = ModuleType("dreamsim")
    broken.__spec__ = ModuleSpec("dreamsim", None)
    monkeypatch.setitem(sys.modules, "dreamsim", broken)
    with pytest.raises(InputError, match=r"dreamsim cannot be imported \(cannot import name"):
        load_metrics(settings, CPU)


def test_a_missing_file_is_told_before_the_package_would_fetch_it(settings, asked, monkeypatch):
    folder = Path(settings["dreamsim_folder"])
    assert [path.parent for path in required_weights(settings)["dreamsim"]] == [
        folder,
        *[folder / f"{KIND}_single_lora"] * 2,
    ]
    for path in required_weights(settings)["dreamsim"]:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(InputError) as error:
            load_metrics(settings, CPU)
        message = str(error.value)
        assert message.startswith(f"{path} is missing")
        for way_out in ("dreamsim_open_clip_vitb32_checkpoint.zip", "models`", "dreamsim_folder"):
            assert way_out in message
        path.write_bytes(content)
    assert asked == []
    monkeypatch.setenv("TORCH_HOME", "somewhere")
    with pytest.raises(InputError, match=r"^somewhere/hub/checkpoints/dreamsim/open_clip_vitb32_p"):
        required_weights(settings | {"dreamsim_folder": None})


def test_files_that_hold_something_else_are_told(settings, asked):
    folder = Path(settings["dreamsim_folder"])
    adapter = folder / f"{KIND}_single_lora"
    for content in ('{"peft_type": "PROMPT_TUNING"}', "{}", "[]", "no JSON"):
        (adapter / "adapter_config.json").write_text(content)
        with pytest.raises(InputError, match="does not hold DreamSim's weights of the type open_"):
            load_metrics(settings, CPU)
    assert asked == []
    write_weights(folder, keys=["qkv.lora_B.weight"])
    with pytest.raises(InputError, match=r"safetensors lacks qkv\.lora_A\.weight\); unpack https"):
        load_metrics(settings, CPU)
    write_weights(folder)
    (adapter / "adapter_model.safetensors").write_bytes(b"pickle")
    with pytest.raises(InputError, match="does not hold DreamSim's weights"):
        load_metrics(settings, CPU)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site with the archive of one type, among whose members is one that leaves the folder."""
    folder = write_weights(tmp_path / "source")
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / f"dreamsim_{KIND}_checkpoint.zip", "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
        archive.writestr("../outside", "nothing that is asked for")
    monkeypatch.setattr(ours, "DOWNLOADS", site.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return site


def test_the_target_models_gets_the_files_once(site, asked, tmp_path):
    settings = {"names": ["dreamsim"], "dreamsim_type": KIND, "dreamsim_folder": None}
    files = downloads.download_metric("dreamsim", settings)
    assert files == required_weights(settings)["dreamsim"]
    folder = tmp_path / "torch" / "hub" / "checkpoints" / "dreamsim"
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(files)
    assert files[0].read_bytes() == b"backbone"
    (site / f"dreamsim_{KIND}_checkpoint.zip").unlink()
    assert downloads.download_metric("dreamsim", settings) == files
    with pytest.raises(InputError, match="the weights of dreamsim cannot be downloaded"):
        downloads.download_metric("dreamsim", settings | {"dreamsim_type": "clip_vitb32"})


def test_an_archive_is_held_against_its_digest(site, asked, tmp_path, caplog):
    settings = {"names": ["dreamsim"], "dreamsim_type": KIND, "dreamsim_sha256": "0" * 64}
    folder = tmp_path / "new"
    with pytest.raises(InputError, match=r"not that of metrics\.dreamsim_sha256"):
        downloads.download_metric("dreamsim", settings | {"dreamsim_folder": str(folder)})
    assert not folder.exists()
    archive = (site / f"dreamsim_{KIND}_checkpoint.zip").read_bytes()
    settings["dreamsim_sha256"] = hashlib.sha256(archive).hexdigest()
    assert downloads.download_metric("dreamsim", settings | {"dreamsim_folder": str(folder)})
    settings |= {"dreamsim_sha256": None, "dreamsim_folder": str(tmp_path / "other")}
    downloads.download_metric("dreamsim", settings)
    assert hashlib.sha256(archive).hexdigest() in caplog.text


def test_an_archive_without_a_file_is_told(site, tmp_path):
    with zipfile.ZipFile(site / f"dreamsim_{KIND}_checkpoint.zip", "w") as archive:
        archive.writestr("readme", "")
    settings = {"dreamsim_type": KIND, "dreamsim_folder": str(tmp_path / "new")}
    with pytest.raises(InputError, match=r"There is no item named '?open_clip_vitb32_pretrain"):
        downloads.download_metric("dreamsim", settings)
    assert not list((tmp_path / "new").rglob("*.tar"))


def write_random_network(folder, kind):
    """Random weights of the real size, written by torch and peft as the package's makers do."""
    import peft
    from dreamsim.config import dreamsim_args
    from dreamsim.feature_extraction.vision_transformer import vit_base
    from dreamsim.model import PerceptualModel

    network = vit_base(patch_size=32)
    network.pos_drop = nn.LayerNorm(network.embed_dim)
    state = {name: 0.02 * torch.randn_like(value) for name, value in network.state_dict().items()}
    state = {n: v + ("norm" in n and n.endswith("weight")) for n, v in state.items()}
    state["proj"] = 0.03 * torch.randn(768, 512)
    folder.mkdir(exist_ok=True)
    torch.save({"state_dict": state}, folder / f"{kind}_pretrain.pth.tar")
    model = PerceptualModel(
        **dreamsim_args["model_config"][kind], device="cpu", load_dir=str(folder)
    )
    kinds = {"target_modules": ["qkv"], "bias": "none"}
    model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=0.5, **kinds))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value, std=0.5)
    model.save_pretrained(folder / f"{kind}_single_lora")


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="the package dreamsim is not installed")
@pytest.mark.parametrize("kind", ours.TYPES)
def test_the_real_package_reads_such_files_without_a_network(tmp_path, monkeypatch, kind):
    write_random_network(tmp_path, kind)

    def offline(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    settings = {"names": ["dreamsim"], "dreamsim_type": kind, "dreamsim_folder": str(tmp_path)}
    [metric] = load_metrics(settings, CPU)
    same, other, alone = (
        metric(batch)
        for batch in (
            batch_of([textured(), textured(1)], [textured(), textured(1)]),
            batch_of([textured()] * 2, [textured(1), textured(3)]),
            batch_of([textured()], [textured(3)]),
        )
    )
    assert same.tolist() == [0, 0]
    assert 1e-7 < other[0] < other[1]
    assert float(alone) == pytest.approx(float(other[1]), rel=1e-3)
    batch = batch_of([textured()], [textured(3)])
    images = (ours.network_input(i[0], batch.overlap[0]) for i in (batch.target, batch.warped))
    assert float(alone) == pytest.approx(float(metric.network(*images)), rel=1e-2)
    # A file that holds code instead of weights.
    (tmp_path / f"{kind}_pretrain.pth.tar").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="does not hold DreamSim's weights"):
        load_metrics(settings, CPU)
    config = tmp_path / f"{kind}_single_lora" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"peft_type": "XLORA"}))
    with pytest.raises(InputError, match="is not of a LoRA adapter"):
        load_metrics(settings, CPU)
