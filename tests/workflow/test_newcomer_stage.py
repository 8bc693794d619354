"""A newcomer's task: a new stage takes one script of its own and one rule in the file of its phase.

The example measures how wide each view sees, in a copy of the repository.
"""

import csv
from math import atan, degrees
from pathlib import Path

import pytest
from foreign_folder import sphere_rig
from headstyle.base.cameras import Cameras, write_cameras
from snakemake_runs import copy_repository, run_snakemake

pytestmark = pytest.mark.slow

# The first file: reads, computes in a function, writes.
SCRIPT = '''"""How wide each view sees.

Input:  cameras  cameras.json of the views
Output: fields   fields_of_view.csv: view, horizontal_deg, vertical_deg
"""

import numpy as np
import pandas as pd

from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.tables.frames import write_table
from headstyle.workflow.stage import stage


def fields_of_view(cameras: Cameras) -> pd.DataFrame:
    """The angle between the left and right edge, and the top and bottom edge, of each view."""
    focal_px = cameras.intrinsics[:, [0, 1], [0, 1]]
    angles = 2 * np.degrees(np.arctan(cameras.sizes / (2 * focal_px)))
    columns = {"horizontal_deg": angles[:, 0], "vertical_deg": angles[:, 1]}
    return pd.DataFrame({"view": cameras.names, **columns})


if __name__ == "__main__":
    with stage(snakemake) as log:
        table = fields_of_view(read_cameras(snakemake.input.cameras))
        write_table(snakemake.output.fields, table)
        log.info("%d views", len(table))
'''

# The second file: the rule, at the end of the rules of its phase.
RULE = """

rule measure_fields_of_view:
    input:
        cameras=rules.downscale_views.output.cameras,
    output:
        fields=f"{R}/{{subject}}/fields_of_view.csv",
    log:
        f"{R}/logs/{{subject}}/measure_fields_of_view.log",
    benchmark:
        f"{R}/benchmarks/{{subject}}/measure_fields_of_view.tsv"
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="10m",
    params:
        library=library_digest("measure_fields_of_view"),
    message:
        "Measuring how wide the views of {wildcards.subject} see"
    script:
        "../workflow_scripts/measure_fields_of_view.py"
"""
TARGET = "results/A/fields_of_view.csv"


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of the repository with the new stage, and with views that it can measure."""
    copy = tmp_path_factory.mktemp("newcomer") / "headstyle"
    copy_repository(copy)
    (copy / "workflow_scripts" / "measure_fields_of_view.py").write_text(SCRIPT)
    with (copy / "rules" / "cameras.smk").open("a") as rules:
        rules.write(RULE)
    write_cameras(copy / "results" / "A" / "views" / "cameras.json", sphere_rig())
    return copy


def run(repository: Path, *arguments: str) -> str:
    only = ("--allowed-rules", "measure_fields_of_view")
    return run_snakemake(repository, TARGET, "--cores", "1", *arguments, *only)


def expected_deg(rig: Cameras, side: int) -> float:
    """Half the size over the focal length is the tangent of half the angle."""
    return 2 * degrees(atan(rig.sizes[0, side] / 2 / rig.intrinsics[0, side, side]))


def test_a_new_stage_runs_is_logged_and_runs_again_when_what_it_uses_changes(repository):
    run(repository)
    rig = sphere_rig()
    with (repository / TARGET).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["view"] for row in rows] == list(rig.names)
    assert float(rows[0]["horizontal_deg"]) == pytest.approx(expected_deg(rig, 0))
    assert float(rows[0]["vertical_deg"]) == pytest.approx(expected_deg(rig, 1))
    log = repository / "results/logs/A/measure_fields_of_view.log"
    assert "5 views" in log.read_text()
    assert (repository / "results/benchmarks/A/measure_fields_of_view.tsv").exists()

    assert "Nothing to be done" in run(repository, "-n")
    module = repository / "workflow_scripts" / "headstyle" / "workflow" / "stage.py"
    module.write_text(module.read_text().replace('"done in', '"finished after'))
    assert "Params have changed" in run(repository, "-n")
    run(repository)
    # The copy's own library did the work, not the one that is installed.
    assert "finished after" in log.read_text()
