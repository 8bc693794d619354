"""What only splats can do is told by its key before any job, where scenes are radiance fields."""

from copy import deepcopy

import pytest
import yaml
from headstyle.base.errors import InputError
from headstyle.radiance.settings import NerfSettings, check_representation
from study import ROOT

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
SUBJECTS = {name: {"splats": ""} for name in CONFIG["study"]["subjects"]}


def changed(section, key, value):
    config = deepcopy(CONFIG) | {"representation": "nerf"}
    config[section][key] = value
    return config


def test_the_study_may_be_of_either_kind():
    for representation in ("splats", "nerf"):
        check_representation(CONFIG | {"representation": representation}, SUBJECTS)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("baseline", "selection_every", 4, r"baseline\.selection_every is set, .* set it to 0"),
        ("baseline", "save_iterations", [7], r"baseline\.save_iterations is set"),
        ("baseline", "checkpoint_iterations", [7], r"baseline\.checkpoint_iterations is set"),
        ("metrics", "names", ["refit_residual"], r"metrics\.names has refit_residual"),
        ("nerf", "edit_rays", 100, r"nerf\.edit_rays is 100"),
    ],
)
def test_what_only_splats_have_is_told_by_its_key(section, key, value, message):
    config = changed(section, key, value)
    with pytest.raises(InputError, match=message):
        check_representation(config, SUBJECTS)
    if section != "nerf":
        check_representation(config | {"representation": "splats"}, SUBJECTS)


def test_lpips_needs_patches_that_its_networks_take():
    config = changed("nerf", "patch_px", 16)
    check_representation(config, SUBJECTS)
    config["stylization"]["lpips_weight"] = 1
    with pytest.raises(InputError, match=r"stylization\.lpips_weight .* set nerf\.patch_px to 32"):
        check_representation(config, SUBJECTS)


def test_known_splats_are_told_with_their_subject():
    known = SUBJECTS | {"B": {"splats": "data/b.ply"}}
    with pytest.raises(InputError, match=r"subject B: .* leave the cell splats empty"):
        check_representation(CONFIG | {"representation": "nerf"}, known)


@pytest.mark.parametrize(
    ("preset", "rays", "patch_px"),
    [("in2n", 16384, 32), ("in2n-small", 16384, 32), ("in2n-tiny", 4096, 1)],
)
def test_the_presets_have_the_published_rays(preset, rays, patch_px):
    text = (ROOT / "config" / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    settings = NerfSettings.from_config(CONFIG["nerf"] | yaml.safe_load(text)["nerf"])
    assert (settings.edit_rays, settings.patch_px) == (rays, patch_px)
