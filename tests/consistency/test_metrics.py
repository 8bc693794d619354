import shutil
import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torchvision
from headstyle.base.embedded import EMBEDDED_MODELS
from headstyle.base.errors import InputError
from headstyle.consistency.metrics import (
    Metric,
    available_metrics,
    load_metrics,
    metric_class,
    required_weights,
)
from headstyle.consistency.metrics.gmsd import gradient_similarity
from headstyle.consistency.metrics.ssim import masked_ssim
from headstyle.consistency.pairs import PairBatch, cut_to_overlap, mean_over_overlap
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.losses.lpips_networks import BACKBONES, find_backbone, load_network
from headstyle.workflow.provenance import library_digest, library_modules
from skimage.color import deltaE_ciede2000, rgb2lab

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
CPU = torch.device("cpu")

# Sharma, Wu, Dalal 2005, Table 1: L*, a*, b* of both colors and their CIEDE2000 difference.
SHARMA_2005 = np.array(
    [
        (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
        (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
        (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
        (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
        (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
        (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
        (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
        (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
        (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
        (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def test_the_34_published_pairs_of_sharma_2005_in_both_orders():
    lab1, lab2 = (torch.from_numpy(SHARMA_2005[:, columns]) for columns in ([0, 1, 2], [3, 4, 5]))
    assert len(SHARMA_2005) == 34
    for difference in (delta_e(lab1, lab2), delta_e(lab2, lab1)):
        np.testing.assert_allclose(difference, SHARMA_2005[:, 6], atol=5.1e-5)


def random_batch(pairs: int = 3, size: tuple[int, int] = (40, 56), seed: int = 0) -> PairBatch:
    draw = torch.Generator().manual_seed(seed)
    target = torch.rand(pairs, *size, 3, generator=draw)
    warped = (target + 0.1 * torch.randn(target.shape, generator=draw)).clamp(0, 1)
    warped[:, :4] = warped[:, :4].mean(dim=-1, keepdim=True)
    overlap = torch.rand(pairs, *size, generator=draw) > 0.4
    return PairBatch(target, warped, overlap)


def test_color_differences_equal_those_of_scikit_image():
    batch = random_batch(seed=1)
    target, warped = batch.target.double(), batch.warped.double()
    expected = deltaE_ciede2000(rgb2lab(target.numpy()), rgb2lab(warped.numpy()))
    difference = delta_e(lab_from_srgb(target), lab_from_srgb(warped))
    np.testing.assert_allclose(difference, expected, atol=1e-4)
    [metric] = load_metrics({"names": ["ciede2000"]}, CPU)
    kept = batch.overlap.numpy()
    means = [values[mask].mean() for values, mask in zip(expected, kept, strict=True)]
    np.testing.assert_allclose(metric(batch), means, atol=1e-4)


def test_rmse_is_over_pixels_and_channels_of_the_overlap():
    target = torch.zeros(1, 1, 3, 3)
    warped = target.clone()
    warped[0, 0, 0] = torch.tensor([0.3, 0.0, 0.6])
    warped[0, 0, 2] = 1.0
    overlap = torch.tensor([[[True, True, False]]])
    [metric] = load_metrics({"names": ["rmse"]}, CPU)
    expected = np.sqrt((0.09 + 0.36) / 6)
    assert metric(PairBatch(target, warped, overlap)).item() == pytest.approx(expected)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory) -> Path:
    """Files with torchvision's networks at random weights, under the names of torch's cache."""
    folder = tmp_path_factory.mktemp("hub") / "checkpoints"
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for net, model in (("squeeze", "squeezenet1_1"), ("alex", "alexnet")):
            network = torchvision.models.get_model(model, weights=None)
            state = {key: v for key, v in network.state_dict().items() if "features" in key}
            torch.save(state, folder / BACKBONES[net])
    return folder


def package_lpips(net: str, backbone: Path) -> lpips.LPIPS:
    """The lpips package's own network as its users get it, with this backbone in the cache."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    model = "squeezenet1_1" if net == "squeeze" else "alexnet"
    features = torchvision.models.get_model(model, weights=None)
    features.load_state_dict(torch.load(backbone, weights_only=True), strict=False)
    for layers in (child for name, child in network.net.named_children() if "slice" in name):
        for place, layer in layers.named_children():
            layer.load_state_dict(features.features[int(place)].state_dict())
    return network.eval()


@pytest.mark.parametrize("net", ["squeeze", "alex"])
def test_lpips_equals_the_package_on_images_masked_to_black(net, backbones):
    batch = random_batch(pairs=2, size=(64, 80))
    settings = {"names": ["lpips"], "lpips_net": net, "lpips_weights": backbones / BACKBONES[net]}
    [metric] = load_metrics(settings, CPU)
    inside = batch.overlap[..., None]
    with torch.no_grad():
        expected = package_lpips(net, backbones / BACKBONES[net])(
            *((image * inside).permute(0, 3, 1, 2) for image in (batch.target, batch.warped)),
            normalize=True,
        ).flatten()
    np.testing.assert_allclose(metric(batch), expected, atol=1e-5)
    assert expected.min() > 1e-3


# What identical pairs score; 0 where it is not said.
OF_IDENTICAL_PAIRS = {"ssim": 1.0}
# Metrics that look at whole views or at the scene, not at warped pairs.
OF_VIEWS = {
    *("clip_caption", "clip_consistency", "clip_direction", "clip_image", "clip_similarity"),
    *("face_identity", "face_landmarks"),
    *("headline", "refit_residual", "tsed"),
    *("registration", "registration_matches", "registration_points"),
}
# Metrics of packages that are not always there; test_dreamsim.py has the same truths.
OPTIONAL = {"dreamsim"}


def warped_metrics(backbones: Path) -> list[Metric]:
    names = [name for name in available_metrics() if name not in OF_VIEWS | OPTIONAL]
    if not (EMBEDDED_MODELS / "perceptual").is_dir():  # Not trained yet.
        names = [name for name in names if not name.startswith("lpips_mini")]
    weights = backbones / BACKBONES["squeeze"]
    settings = {"names": names, "lpips_net": "squeeze", "lpips_weights": weights}
    return load_metrics(settings, CPU)


def test_identical_pairs_score_best_in_every_metric(backbones):
    batch = random_batch()
    same = PairBatch(batch.target, batch.target.clone(), batch.overlap)
    for metric in warped_metrics(backbones):
        best = OF_IDENTICAL_PAIRS.get(metric.name, 0)
        np.testing.assert_allclose(metric(same), best, atol=1e-6 * best, err_msg=metric.name)


def test_nothing_outside_the_overlap_counts(backbones):
    batch = random_batch()
    other = torch.where(batch.overlap[..., None], batch.warped, 1 - batch.warped)
    for metric in warped_metrics(backbones):
        hidden = metric(PairBatch(batch.target, other, batch.overlap))
        assert torch.equal(metric(batch), hidden), metric.name


@pytest.mark.parametrize(
    ("rows", "columns"), [((7, 21), (5, 30)), ((0, 3), (50, 56)), ((0, 0), (0, 0))]
)
def test_cutting_the_frames_to_the_overlap_changes_no_value(rows, columns):
    batch = random_batch()
    overlap = torch.zeros_like(batch.overlap)
    overlap[0, slice(*rows), slice(*columns)] = True
    batch = PairBatch(batch.target, batch.warped, overlap)
    similarity, counts = masked_ssim(batch.target, batch.warped, overlap)
    expected = mean_over_overlap(similarity, counts)
    found = load_metrics({"names": ["ssim"]}, CPU)[0](batch)
    torch.testing.assert_close(found, expected, equal_nan=True, atol=1e-6, rtol=0)
    similarity, counts = gradient_similarity(batch.target, batch.warped, overlap)
    squares = (similarity - mean_over_overlap(similarity, counts)[:, None, None]).square()
    expected = mean_over_overlap(squares, counts).sqrt()
    found = load_metrics({"names": ["gmsd"]}, CPU)[0](batch)
    torch.testing.assert_close(found, expected, equal_nan=True, atol=1e-6, rtol=0)
    window = cut_to_overlap(batch, 2).overlap
    assert window.sum() == overlap.sum()
    assert window.shape[1] <= rows[1] - rows[0] + 2 or not rows[1]


def test_every_metric_states_its_name_units_and_direction():
    assert available_metrics() == sorted(available_metrics())
    assert {"rmse", "ciede2000", "lpips"} <= set(available_metrics())
    for name in available_metrics():
        found = metric_class(name)
        assert issubclass(found, Metric)
        assert found.name == name
        assert found.units
        assert found.direction in ("lower", "higher")


def test_a_missing_backbone_is_named_with_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    settings = {"names": ["rmse", "lpips"], "lpips_net": "squeeze", "lpips_weights": None}
    with pytest.raises(InputError) as error:
        required_weights(settings)
    message = str(error.value)
    expected = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    assert str(expected) in message
    assert "metrics.lpips_weights" in message
    assert "take lpips out of metrics.names" in message
    expected.parent.mkdir(parents=True)
    expected.touch()
    assert required_weights(settings) == {"rmse": [], "lpips": [expected]}
    with pytest.raises(InputError, match="'resnet' is not one of squeeze, alex, vgg"):
        find_backbone("resnet")


def test_a_file_that_is_no_backbone_is_named(tmp_path, backbones):
    wrong = tmp_path / "wrong.pth"
    for content in (b"", b"not weights", (backbones / BACKBONES["squeeze"]).read_bytes()[:1000]):
        wrong.write_bytes(content)
        with pytest.raises(InputError, match=r"wrong\.pth does not hold"):
            load_network("squeeze", wrong)
    for state in ({"weight": torch.ones(1)}, [1, 2], 3.0, Path("pickled object")):
        torch.save(state, wrong)
        with pytest.raises(InputError, match=r"wrong\.pth does not hold"):
            load_network("squeeze", wrong)
    with pytest.raises(InputError, match="does not hold torchvision's weights of the alex"):
        load_network("alex", backbones / BACKBONES["squeeze"])


def test_loading_lpips_leaves_the_random_state_alone(backbones):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_network("squeeze", backbones / BACKBONES["squeeze"])
    assert torch.rand(1) == expected


@pytest.mark.parametrize("name", ["rmse", "ciede2000", "lpips"])
def test_editing_a_metric_reruns_the_measurements(name, tmp_path):
    shutil.copytree(SCRIPTS / "headstyle", tmp_path / "headstyle")
    shutil.copy(SCRIPTS / "measure_consistency.py", tmp_path)
    before = library_digest(tmp_path / "measure_consistency.py")
    with (tmp_path / "headstyle" / "consistency" / "metrics" / f"{name}.py").open("a") as module:
        module.write("EDITED = True\n")
    assert library_digest(tmp_path / "measure_consistency.py") != before


@pytest.mark.parametrize("stage", ["stylize_avatar", "train_baseline", "mask_views"])
def test_a_new_metric_makes_no_avatar_anew(stage):
    modules = library_modules(SCRIPTS / f"{stage}.py")
    assert modules
    assert not any("metrics" in module.parts for module in modules)
