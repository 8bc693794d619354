"""Write the kit by which anyone certifies a metric of theirs.

Output: kit      kit.json: the items, beside their folders
        sums     SHA256SUMS of all files of the kit
        levels   levels.csv: what each item is
        ours     ours.csv: what our metrics say of each item

Items are kept, so that a run that was stopped goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.calibration.kit.items import kit_settings
from headstyle.calibration.kit.making import make_kit
from headstyle.rendering.devices import best_device
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

SECTIONS = ("metric_kit", "calibration", "baseline", "stylization", "metrics")

if __name__ == "__main__":
    with stage(snakemake) as log:
        params = snakemake.params
        settings = kit_settings({name: params[name] for name in SECTIONS})
        folder = Path(snakemake.output.kit).parent.parent
        key = f"{params.library} {settings}"
        make_kit(settings, folder, key, best_device(), snakemake.threads)
        log.info("give away %s; what the items are lies in %s", folder / "kit", folder / "hidden")
