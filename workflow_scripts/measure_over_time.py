"""Score how well a moving head agrees over time: frames of one camera at several timesteps.

Input:  sequence   sequence.json of the head; its images, too, where no renders are given
        renders    folder of {split}/{frame}.png; none for the photographs
        unedited   the same of the baseline; the headline score compares renders with them
        floor      temporal_pairs.csv of the baseline; none for the baseline itself
Output: pairs      temporal_pairs.csv: subject, prompt, strength, target, source, camera_index,
                   target_timestep, source_timestep, overlap, coverage, metrics, their excess over
                   the floor, their ceiling
        table      temporal.csv: one row with the means over frames, as the study's table of avatars
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.devices import keep_freed_memory
from headstyle.base.seeds import derived_seed
from headstyle.base.tables.frames import write_table
from headstyle.consistency.measuring import with_labels
from headstyle.consistency.statistics import read_scores
from headstyle.rigged.sequence import read_sequence
from headstyle.rigged.temporal_consistency import (
    MovingHead,
    measure_over_time,
    read_images,
    rendered_frames,
    summarize_over_time,
)
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject
        sequence = read_sequence(Path(paths.sequence).parent)
        frames = rendered_frames(sequence.frames, paths.unedited)
        renders = paths.get("renders") or None
        # Photographs are sharper than renders, so they are unedited beside themselves alone.
        head = MovingHead(
            frames,
            sequence.meshes,
            read_images(frames, renders),
            read_images(frames, paths.unedited if renders else None),
        )
        pairs = measure_over_time(
            head,
            params.metrics,
            params.neighbors,
            derived_seed(params.seed, subject),
            read_scores(paths.floor) if paths.get("floor") else None,
            is_baseline=params.labels[0] == "none",
        )
        log.info("%d pairs of %d frames compared over time", len(pairs), len(frames))
        labels = (subject, *params.labels)
        write_table(snakemake.output.pairs, with_labels(pairs, *labels))
        metrics, least = params.metrics["names"], params.metrics["min_overlap"]
        write_table(snakemake.output.table, summarize_over_time(pairs, metrics, least, labels))
