"""The benchmark of stylization, in small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from headstyle.configuration import check_config

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_runs_in_small_and_writes_its_numbers(tmp_path):
    written = tmp_path / "numbers.json"
    command = [sys.executable, str(ROOT / "benchmarks/stylize.py"), "--toy", "--json", str(written)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    numbers = json.loads(written.read_text())
    assert set(numbers) == {"machine", "loop", "throughput", "avatar", "job", "presets"}
    assert numbers["loop"]["images_per_second"] > 0
    assert numbers["throughput"]["never"]["images_per_second"] > 0
    assert set(numbers["avatar"]["phases"]) == {"edit", "train", "write"}
    assert numbers["job"]["avatars"] == 2
    assert set(numbers["presets"]) == {"in2n", "in2n-small", "in2n-tiny", "part_s"}
    assert "images_per_second" in printed


def test_a_part_that_fails_keeps_its_rows_and_does_not_stop_the_next(tmp_path):
    written = tmp_path / "numbers.json"
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import stylize
def failing(size, options):
    yield {{"images_per_second": 3.0}}
    raise RuntimeError("no memory")
stylize.PARTS |= {{"loop": failing, "throughput": lambda size, options: iter([{{"never": {{}}}}])}}
sys.argv = ["stylize", "--toy", "--json", {str(written)!r}, "--parts", "loop", "throughput"]
stylize.main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("failed: loop")
    numbers = json.loads(written.read_text())
    assert numbers["loop"]["images_per_second"] == 3.0
    assert numbers["loop"]["error"] == "RuntimeError: no memory"
    assert "never" in numbers["throughput"]


@pytest.mark.parametrize("preset", sorted((ROOT / "config/presets").glob("*.yaml")), ids=str)
def test_every_preset_is_a_valid_configuration_over_the_study(preset):
    study, changes = (
        yaml.safe_load(path.read_text()) for path in (ROOT / "config/config.yaml", preset)
    )
    for section, values in changes.items():
        study[section] = study[section] | values
    check_config(study, ROOT / "config/schemas/config.schema.yaml")
