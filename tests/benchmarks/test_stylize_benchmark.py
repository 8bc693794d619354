"""The benchmark of stylization, in small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from headstyle.workflow.configuration import check_config
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_runs_in_small_and_writes_its_numbers(tmp_path):
    written = tmp_path / "numbers.json"
    command = [sys.executable, str(ROOT / "benchmarks/stylize.py"), "--toy", "--json", str(written)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    numbers = json.loads(written.read_text())
    assert set(numbers) == {
        *("machine", "loop", "throughput", "profile", "attention", "variants"),
        *("avatar", "job", "presets", "approximations"),
    }
    assert numbers["loop"]["images_per_second"] > 0
    assert numbers["loop"]["offloaded"]["images_per_second"] > 0
    assert numbers["throughput"]["never"]["images_per_second"] > 0
    ways = {name: row for name, row in numbers["approximations"].items() if isinstance(row, dict)}
    assert "exact" in ways
    assert all(row["images_per_second"] > 0 for row in ways.values())
    assert set(numbers["avatar"]["phases"]) == {"edit", "train", "write"}
    assert numbers["job"]["avatars"] == 2
    job = numbers["job"]
    made = job["seconds"] / job["avatars"] * 64
    assert job["study_min"] == pytest.approx((4 * job["preparing_s"] + made) / 60)
    for network in ("unet", "encoder", "decoder"):
        assert numbers["profile"][network]["busy_ms_per_image"] > 0
        longest = [row["ms_per_image"] for row in numbers["profile"][network]["longest"]]
        assert longest == sorted(longest, reverse=True)
        assert 0 < len(longest) <= 25
        tuned = numbers["variants"]["cdt"][network]
        assert tuned["ms_per_image"] > 0
        assert tuned["difference"] < 1e-5
    assert set(numbers["presets"]) == {"in2n", "in2n-small", "in2n-tiny", "part_s"}
    assert "images_per_second" in printed


VARIANTS = """
import torch, stylize_variants as v
from stylize_profile import kind_of
known = set(torch._inductor.list_options())
unknown = [name for name, variant in v.VARIANTS.items() if set(variant.options) - known]
assert not unknown, unknown
both = v.combined("cdt+views24+thirds")
assert both == v.Variant(v.DESCENT, views=24, passes=3), both
for kernel, kind in {
    "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16": "attention",
    "sm90_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc": "convolutions",
    "nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NTN": "matrix products",
    "triton_red_fused_native_group_norm_3": "norms and other reductions",
    "triton_poi_fused_cat_convolution_silu_7": "elementwise",
    "triton_tem_fused_addmm_1": "matrix products",
    "void cudnn::engines_precompiled::nchwToNhwcKernel<__half, __half>": "layout and copies",
    "Memcpy DtoD (Device -> Device)": "layout and copies",
    "fill_kernel": "other",
}.items():
    assert kind_of(kernel) == kind, (kernel, kind_of(kernel))
"""


CALLS = """
import json, sys, traceback
sys.path.insert(0, sys.argv[1])
import stylize

def failing(size, options):
    yield {"images_per_second": 3.0}
    raise RuntimeError("no memory")

def quick(size, options):
    yield {"done": 1}

def call(parts, *arguments):
    stylize.PARTS |= parts
    sys.argv = ["stylize", "--toy", "--json", *arguments]
    try:
        stylize.main()
    except SystemExit as end:
        return end.code

def wrong_variants():
    try:
        exec(VARIANTS, {})
    except Exception:
        return traceback.format_exc()

failed, late = sys.argv[2:]
ended = {
    "variants": wrong_variants(),
    "failed": call({"loop": failing, "throughput": quick}, failed, "--parts", "loop", "throughput"),
    "first": call({"loop": quick, "job": quick}, late, "--into", "--parts", "loop"),
    "late": call({}, late, "--into", "--parts", "job", "--minutes", "0"),
}
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """How several calls of the benchmark end, and the files of the failed and of the late ones.

    All in one process, as loading the editors takes longer than the calls.
    """
    files = [tmp_path_factory.mktemp("calls") / name for name in ("failed.json", "late.json")]
    program = f"VARIANTS = {VARIANTS!r}\n" + CALLS
    command = [sys.executable, "-c", program, str(ROOT / "benchmarks"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    return ended, *(json.loads(file.read_text()) for file in files)


def test_a_part_that_fails_keeps_its_rows_and_does_not_stop_the_next(calls):
    ended, numbers, _ = calls
    assert ended["failed"] == "failed: loop"
    assert numbers["loop"]["images_per_second"] == 3.0
    assert numbers["loop"]["error"] == "RuntimeError: no memory"
    assert numbers["throughput"]["done"] == 1


def test_variants_are_options_that_the_compiler_knows_and_kernels_have_kinds(calls):
    assert calls[0]["variants"] is None, calls[0]["variants"]


def test_calls_add_to_what_was_measured_and_begin_nothing_late(calls):
    ended, _, numbers = calls
    assert (ended["first"], ended["late"]) == (0, 0)
    assert numbers["loop"]["done"] == 1
    assert numbers["job"]["left_out"] == "no time"


@pytest.mark.parametrize("preset", sorted((ROOT / "config/presets").glob("*.yaml")), ids=str)
def test_every_preset_is_a_valid_configuration_over_the_study(preset):
    study, changes = (
        yaml.safe_load(path.read_text()) for path in (ROOT / "config/config.yaml", preset)
    )
    # As Snakemake lays files over each other.
    update_config(study, changes)
    check_config(study, ROOT / "config/schemas/config.schema.yaml")
