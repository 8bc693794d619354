"""Stylize an avatar: edit the baseline's views by a text prompt and train the splats on the edits.

The job also makes other avatars of the subject that this run of the workflow needs, as long as
`stylization.avatars_per_job` allows; their own jobs then only take what was made.

Input:  cameras    cameras.json of the views, beside which the views {view}.png lie
        splats     the scene of the baseline, or of the avatar that this one starts from
        renders    folder {view}.png of the same scene
        adjacency  adjacency.csv: which views are trained together
Output: splats     splats.ply of the avatar, or field.safetensors where scenes are radiance fields
        edits      folder cycle{k}/{view}.png: the edited views of each cycle, RGBA
        renders    folder {view}.png: the avatar's views, RGBA
        depth      folder {view}.npz: median and expected depth
        history    history.tsv: iteration, loss, psnr, splats, seconds
        run        run.json: every setting, seed, model and version
        timings    timings.json: seconds and memory, which differ from run to run
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.avatars.files import (
    OUTPUTS,
    AvatarFolder,
    Order,
    check_renders,
    digest_of_files,
    read_plan,
)
from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

SETTINGS = ("prompt_text", "strength", "editing", "stylization", "baseline", "seed", "library")

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
        own = Order(
            *(wildcards.subject, wildcards.prompt, wildcards.strength),
            {key: params[key] for key in SETTINGS},
            Path(snakemake.output.run).parent,
        )
        if params.nerf:
            own.params["nerf"] = params.nerf
        names = read_cameras(paths.cameras).names
        check_renders(names, paths.renders)
        # An avatar of an avatar edits the earlier one's renders, as if they were photographs.
        photographs = paths.renders if params.after else Path(paths.cameras).parent
        if params.after:
            own.params["after"] = params.after
        views = [Path(photographs) / f"{name}.png" for name in names]
        inputs = digest_of_files([paths.cameras, paths.splats, paths.adjacency, *views])
        files = AvatarFolder(own.folder, own.task(inputs), own.scene_file)
        if files.is_finished():
            log.info("made by another job of this subject: see its log")
        else:
            # Imported here, as an avatar that is made already needs none of it.
            from headstyle.avatars.job import Job, read_subject
            from headstyle.editing.registry import editor_device, machine_editing
            from headstyle.rendering.devices import best_device

            keep_freed_memory()
            # What belongs to the machine is no parameter of the rule: its change redoes nothing.
            editing, stylization = (snakemake.config[k] for k in ("editing", "stylization"))
            machine = machine_editing(editing)
            subject = read_subject(
                *(paths.cameras, paths.splats, paths.adjacency), best_device(), photographs
            )
            device = editor_device(machine, subject.device)
            planned, before = read_plan(params.plan, own.subject)
            # Others start from the baseline.
            others = [order for order in planned if order.folder != own.folder and not params.after]
            job = Job(subject, inputs, machine, device, before)
            job.make(own, others, stylization["avatars_per_job"])
        files.deliver({key: snakemake.output[key] for key in OUTPUTS})
