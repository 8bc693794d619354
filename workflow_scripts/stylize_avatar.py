"""Stylize one avatar: edit the baseline's views by a text prompt and train the splats on the edits.

Input:  cameras    cameras.json of the views, beside which the views {view}.png lie
        splats     splats.ply of the baseline
        adjacency  adjacency.csv: which views are trained together
Output: splats     splats.ply of the avatar
        edits      folder cycle{k}/{view}.png: the edited views of each cycle, RGBA
        renders    folder {view}.png: the avatar's views, RGBA
        depth      folder {view}.npz: median and expected depth
        history    history.tsv: iteration, loss, psnr, splats, seconds
        run        run.json: every setting, seed, model and version
"""

from pathlib import Path

from headstyle.baseline import best_device, write_history, write_renders
from headstyle.cameras import read_cameras
from headstyle.editing import make_editor
from headstyle.files import whole_folder, write_json
from headstyle.images import write_image
from headstyle.seeds import avatar_seed
from headstyle.splats import read_ply, write_ply
from headstyle.stage import keep_freed_memory, stage
from headstyle.stylization import (
    avatar_settings,
    describe_run,
    make_instructions,
    make_schedule,
    read_neighbors,
    stylize,
)
from headstyle.training import SplatTrainer
from headstyle.views import read_views

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, output, params = snakemake.input, snakemake.output, snakemake.params
        subject, prompt, strength = (
            snakemake.wildcards[name] for name in ("subject", "prompt", "strength")
        )
        seed = avatar_seed(params.seed, subject, prompt, strength)
        cameras = read_cameras(paths.cameras)
        views = read_views(Path(paths.cameras).parent, cameras)
        photographs = dict(zip(cameras.names, views, strict=True))
        device = best_device()
        editor = make_editor(params.editing, device)
        schedule = make_schedule(params.stylization)
        instructions = make_instructions(
            prompt, params.prompt_text, params.strength, params.editing, schedule.cycles, seed
        )
        settings = avatar_settings(params.baseline, params.stylization)
        trainer = SplatTrainer(read_ply(paths.splats), cameras, photographs, settings, seed, device)
        log.info("%r: %d views, %d cycles", params.prompt_text, len(cameras), schedule.cycles)

        with whole_folder(output.edits) as folder:

            def save(instruction, edits):
                log.info("cycle %d: %d views edited", instruction.cycle, len(edits))
                for view, image in edits.items():
                    write_image(folder / f"cycle{instruction.cycle}" / f"{view}.png", image)

            neighbors = read_neighbors(paths.adjacency, cameras.names)
            stylize(trainer, editor, schedule, instructions, photographs, neighbors, save)
        write_ply(output.splats, trainer.splats)
        write_renders(trainer.splats, cameras, output.renders, output.depth)
        write_history(output.history, trainer.history)
        run = {
            "subject": subject,
            "strength": strength,
            "seed": params.seed,
            "splats": len(trainer.splats["means"]),
            "views": list(cameras.names),
            **describe_run(instructions, schedule, editor, device),
            **{key: params[key] for key in ("editing", "stylization", "baseline")},
        }
        write_json(output.run, run)
