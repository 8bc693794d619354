"""A run that is killed at any moment goes on, to the same tables, and redoes no finished work."""

import os
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from snakemake_runs import jobs
from study import Study
from tiny_study import TINIEST


def tables(study: Study) -> dict[str, bytes]:
    """The study's tables by name."""
    return {p.name: p.read_bytes() for p in (study.folder / "results/tables").glob("*.csv")}


def left_over(study: Study) -> list[Path]:
    """What no finished study has: partial files, scratch folders, states of avatars."""
    patterns = ("*.partial-*", ".partial", ".work", "*.checkpoint")
    return [path for p in patterns for path in (study.folder / "results").rglob(p)]


def finished_jobs(study: Study) -> Counter:
    """How many jobs of each rule the last run finished, by Snakemake's own log."""
    last = max((study.folder / ".snakemake/log").iterdir())
    told = r"^Finished jobid: \d+ \(Rule: (\w+)\)"
    return Counter(re.findall(told, last.read_text(), re.MULTILINE))


@pytest.mark.soak
def test_a_study_survives_kills_at_random_moments(tmp_path_factory):
    """`HEADSTYLE_KILLS` kills, each at a random moment of whatever stage is running then."""
    undisturbed = Study.with_demo_settings(tmp_path_factory.mktemp("undisturbed"), TINIEST)
    started = time.monotonic()
    undisturbed.snakemake()
    longest_s = (time.monotonic() - started) / 10
    wanted, seed = tables(undisturbed), random.randrange(2**32)
    chance, kills, studies = random.Random(seed), 0, 0
    most = int(os.environ.get("HEADSTYLE_KILLS", "1000"))
    print(f"\nseed {seed}, {most} kills, up to {longest_s:.0f} s after the first job", flush=True)
    while kills < most:
        study = Study.with_demo_settings(tmp_path_factory.mktemp("killed"), TINIEST)
        total = Counter(jobs(study.snakemake("-n")))
        done: Counter = Counter()
        patience_s = longest_s
        while kills < most:
            if study.kill_after(chance.uniform(0, patience_s)) is None:
                break
            kills += 1
            finished = finished_jobs(study)
            done += finished
            # On a busy machine no job may end in time: the next run gets more, until one does.
            patience_s = longest_s if finished else 1.5 * patience_s
            print(f"{kills} kills, {done.total()} of {total.total()} jobs", flush=True)
        study.snakemake()
        studies += 1
        done += finished_jobs(study)
        redone = {rule: n for rule, n in (done - total).items() if rule != "all"}
        assert not redone, f"finished jobs were done again: {redone}, seed {seed}"
        assert tables(study) == wanted, f"seed {seed}"
        assert not left_over(study), f"seed {seed}"
        assert "Nothing to be done" in study.snakemake()
        print(f"{kills} kills survived in {studies} studies", flush=True)


@pytest.mark.slow
def test_a_killed_end_of_a_study_goes_on_to_the_same_tables(copy):
    wanted, seed = tables(copy), random.randrange(2**32)
    chance = random.Random(seed)
    for name in ("views", "avatars"):
        (copy.folder / f"results/tables/{name}.csv").unlink()
    (copy.folder / "results/A/baseline/consistency/views.csv").unlink()
    copy.kill_after(chance.uniform(0, 8), "results/tables/avatars.csv")
    copy.snakemake("results/tables/avatars.csv")
    assert tables(copy) == wanted, f"seed {seed}"
    assert not left_over(copy)
