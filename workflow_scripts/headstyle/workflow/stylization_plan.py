"""The note of which avatars a run makes, so that one job can make several of them."""

from collections.abc import Sequence
from pathlib import Path

from headstyle.avatars.files import delivered_at
from headstyle.base.files import write_json
from headstyle.workflow.snakemake_internals import PlannedJob

PARAMS = ("prompt_text", "strength", "editing", "stylization", "baseline", "seed", "library")
"""The parameters of `stylize_avatar` that shape an avatar."""


def write_plan(path: str | Path, jobs: Sequence[PlannedJob], avatars: Sequence[str]) -> None:
    """Write the plan that `headstyle.avatars.files.read_plan` reads.

    Args:
        path: The JSON file. Without jobs it is deleted.
        jobs: The jobs of the rule `stylize_avatar` that this run executes. Those that start from
            another avatar are made by their own jobs.
        avatars: All `{prompt}_{strength}` of the study, in the order in which they are made.
    """
    path = Path(path)
    if not jobs:
        path.unlink(missing_ok=True)
        return
    place = {name: number for number, name in enumerate(avatars)}
    entries = [
        {
            **{key: job.wildcards[key] for key in ("subject", "prompt", "strength")},
            "params": {key: job.params[key] for key in PARAMS}
            # Avatars of splats have no such section.
            | ({"nerf": job.params["nerf"]} if job.params.get("nerf") else {}),
            "folder": str(Path(job.outputs["run"]).parent),
            "delivered_at": delivered_at(Path(job.outputs["run"]).parent),
        }
        for job in jobs
        # An avatar of an avatar has inputs of its own.
        if not job.params.get("after")
    ]
    write_json(
        path, sorted(entries, key=lambda entry: place[f"{entry['prompt']}_{entry['strength']}"])
    )


def turn(avatar: str, avatars: Sequence[str]) -> int:
    """Priority of an avatar's job: all subjects' first avatars precede anybody's second, and so on.

    Jobs of one subject share its avatars, and each loads the weights. So where jobs run side by
    side, they should be of different subjects first.

    Args:
        avatar: Prompt and strength, as `P1_low`.
        avatars: Those of each subject. Others have the priority 0.
    """
    return len(avatars) - avatars.index(avatar) if avatar in avatars else 0
