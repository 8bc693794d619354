"""Stylize a head that moves: edit views of some timesteps, and train bound splats on the edits.

Input:  folder     folder of the sequence
        splats     splats.ply of the unedited head, bound to its mesh
Output: splats     splats.ply of the avatar, bound to the same mesh
        edits      folder cycle{k}/{frame}.png: the edited frames of each cycle, RGBA
        renders    folder {split}/{frame}.png: all frames of the avatar, RGBA
        depth      folder {split}/{frame}.npz: median and expected depth
        history    history.tsv: iteration, loss, psnr, splats, seconds
        run        run.json: every setting, seed, model and version
        timings    timings.json: seconds and memory, which differ from run to run
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.avatars.files import OUTPUTS, AvatarFolder, Order, digest_of_files
from headstyle.avatars.job import Job
from headstyle.base.devices import keep_freed_memory
from headstyle.editing.registry import editor_device, machine_editing
from headstyle.rendering.devices import best_device
from headstyle.rigged.stylization import read_rigged_subject
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

SETTINGS = ("prompt_text", "strength", "editing", "stylization", "baseline", "seed", "library")

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
        chosen = {key: params[key] for key in SETTINGS}
        # The binding and the edited timesteps shape the avatar, too.
        chosen |= {"rigged": params.rigged, "adjacency": params.adjacency}
        order = Order(
            *(wildcards.subject, wildcards.prompt, wildcards.strength, chosen),
            Path(snakemake.output.run).parent,
        )
        subject = read_rigged_subject(
            *(paths.folder, paths.splats, params.rigged, params.adjacency, best_device())
        )
        files = [Path(paths.folder) / name for name in ("sequence.json", "meshes.npz")]
        inputs = digest_of_files([*files, paths.splats, *(f.image for f in subject.frames)])
        machine = machine_editing(snakemake.config["editing"])
        log.info(
            "%d frames of %d timesteps are edited",
            *(len(subject.frames), len({frame.timestep for frame in subject.frames})),
        )
        Job(subject, inputs, machine, editor_device(machine, subject.device)).make(order)
        state = AvatarFolder(order.folder, order.task(inputs))
        state.deliver({key: snakemake.output[key] for key in OUTPUTS})
