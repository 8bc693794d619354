"""Show what each stage took: time and memory, as a figure and as a page.

Input:  results   files of the report that are made before; what was measured lies in `benchmarks`
Output: figure    costs.png
        page      costs.html
"""

from typing import TYPE_CHECKING

from headstyle.report.costs.stages import costs_figure, costs_page, read_costs
from headstyle.report.figures import write_figure
from headstyle.report.pages import write_page
from headstyle.workflow.running.costs import RELATIVE_COSTS
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        # The rules of a module may have a prefix, which their benchmarks have not.
        rules = {*snakemake.params.rules, *RELATIVE_COSTS}
        costs = read_costs(snakemake.params.benchmarks, rules)
        write_figure(snakemake.output.figure, costs_figure(costs))
        write_page(snakemake.output.page, costs_page(costs))
        log.info("%d jobs of %d stages", sum(len(c.seconds) for c in costs), len(costs))
