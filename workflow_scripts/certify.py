"""Judge a metric by the values that it gave to the kit.

Input:  levels, ours   of the kit
        answers        the CSV of the metric's values, which certify.csv names
Output: page    the card
        table   its numbers
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.errors import InputError
from headstyle.calibration.kit.card import certify
from headstyle.calibration.kit.page import sentences, write_card
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        params = snakemake.params
        chosen = params.certify
        if not chosen["csv"]:
            raise InputError("certify.csv names no file; give the CSV of your metric's values")
        card = certify(
            Path(snakemake.input.levels).parent.parent,
            Path(chosen["csv"]),
            chosen["name"],
            chosen["direction"],
        )
        write_card(card, Path(snakemake.output.page), Path(snakemake.output.table))
        for sentence in sentences(card):
            log.info("%s", sentence)
