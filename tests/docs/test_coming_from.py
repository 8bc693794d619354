"""Each option that the READMEs of the four seeds name is in docs/coming-from.md."""

import re

import pytest
from study import ROOT

OPTIONS = {
    "Instruct-GS2GS": """
        --data --load-dir --pipeline.prompt --pipeline.guidance-scale
        --pipeline.image-guidance-scale --downscale-factor --pipeline.ip2p-device
        --max-num-iterations
    """,
    "Instruct-NeRF2NeRF": """
        --data --load-dir --pipeline.prompt --pipeline.guidance-scale
        --pipeline.image-guidance-scale --downscale-factor --pipeline.ip2p-device
        --max-num-iterations in2n-small in2n-tiny
    """,
    "Gaussian Avatars": """
        --source_path --model_path --eval --resolution --white_background --bind_to_mesh
        --iterations --interval --port --skip_train --skip_val --skip_test --select_camera_id
        --target_path
        --point_path fps_benchmark_demo.py fps_benchmark_dataset.py
    """,
    "3D Gaussian Splatting": """
        --no_gpu --skip_matching --source_path --camera --resize --colmap_executable
        --magick_executable --model_path --images --eval --resolution --data_device
        --white_background --sh_degree --convert_SHs_python --convert_cov3D_python --debug
        --debug_from --iterations --ip --port --test_iterations --save_iterations
        --checkpoint_iterations --start_checkpoint --quiet --feature_lr --opacity_lr --scaling_lr
        --rotation_lr --position_lr_max_steps --position_lr_init --position_lr_final
        --position_lr_delay_mult --densify_from_iter --densify_until_iter --densify_grad_threshold
        --densification_interval --opacity_reset_interval --lambda_dssim --percent_dense
        --exposure_lr_init --train_test_exp --depths --antialiasing render.py metrics.py
        full_eval.py
    """,
}


@pytest.mark.parametrize("project", OPTIONS)
def test_every_option_of_a_readme_has_a_setting_or_a_reason(project):
    page = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    [section] = re.findall(rf"^## {re.escape(project)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    theirs = " ".join(re.findall(r"^\| (.*?) \| ", section, re.M))
    named = set(re.findall(r"[\w.-]+", theirs))
    assert not [option for option in OPTIONS[project].split() if option not in named]
