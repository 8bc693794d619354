"""Each scheduler's line of profiles/cluster-generic submits jobs, to stand-ins of its commands.

A stand-in knows the options that the real command's manual has, refuses others, and runs the job's
script on this machine.
"""

import json
import os
import re
import shlex
import sys

import pytest
import yaml
from snakemake_runs import run_snakemake
from study import ROOT
from two_jobs import RULES

pytestmark = pytest.mark.slow

# The commands, and their options with the number of words that each takes.
SGE = {"-terse": 0, "-cwd": 0, "-V": 0, "-j": 1, "-o": 1, "-pe": 2, "-l": 1}
PBS = {"-V": 0, "-l": 1}
LSF = {"-n": 1, "-M": 1, "-W": 1, "-gpu": 1}
SCHEDULERS = {
    "SGE": ("qsub", SGE, "-l gpu=1", ["-l", "gpu=1"]),
    "LSF": ("bsub", LSF, "-gpu num=1", ["-gpu", "num=1"]),
    "PBS": ("qsub", PBS, ":ngpus=1", ["-l", "select=1:ncpus=1:mem=500mb:ngpus=1"]),
    "HTCondor": ("condor_qsub", PBS, "", ["-l", "mem=500mb,nodes=1:ppn=1"]),
}
STAND_IN = """#!{python}
import json, subprocess, sys
words, options = sys.argv[1:], {options}
given = []
while len(words) > 1:
    count = options[words[0]]  # Any other word is an error, also an empty one.
    given.append(words[: count + 1])
    words = words[count + 1 :]
with open({log!r}, "a") as file:
    print(json.dumps(given), file=file)
subprocess.Popen(["/bin/sh", words[0]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("4711")
"""


def profile_of(scheduler: str, gpu: str) -> str:
    """The shipped profile as a user of a scheduler edits it: with the one line, and its GPUs."""
    text = (ROOT / "profiles" / "cluster-generic" / "config.yaml").read_text()
    start, end = text.index("# SGE\n"), text.index("# What a job adds")
    block = re.search(rf"# {scheduler}\n(.*?)(?=\n# [A-Z]|\Z)", text[start:end].strip(), re.S)[1]
    line = block.removeprefix("# ")
    edited = text[:start] + line.strip() + "\n" + text[end:]
    content = yaml.safe_load(edited.replace("submit_gpu: -l gpu=1", f'submit_gpu: "{gpu}"'))
    assert shlex.split(content["cluster-generic-submit-cmd"])
    # Jobs one by one, so that each is asked what it submitted.
    del content["groups"], content["group-components"]
    return yaml.safe_dump(content | {"latency-wait": 5})


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_scheduler_takes_and_runs_the_jobs(scheduler, tmp_path):
    command, options, gpu, asked = SCHEDULERS[scheduler]
    for folder in ("profile", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Snakefile").write_text(RULES)
    (tmp_path / "profile" / "config.yaml").write_text(profile_of(scheduler, gpu or "''"))
    stand_in, log = tmp_path / "bin" / command, tmp_path / "submitted.jsonl"
    stand_in.write_text(STAND_IN.format(python=sys.executable, options=options, log=str(log)))
    stand_in.chmod(0o755)
    run_snakemake(
        tmp_path,
        *("--workflow-profile", "profile", "--seconds-between-status-checks", "1"),
        environment={"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    assert (tmp_path / "light.txt").exists()
    assert (tmp_path / "heavy.txt").exists()
    heavy, light = sorted(
        (json.loads(line) for line in log.read_text().splitlines()),
        key=lambda job: "500" not in str(job),
    )
    assert asked in heavy
    assert not any("gpu" in word for words in light for word in words)
    assert any("400" in word for words in light for word in words)
