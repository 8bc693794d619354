"""What a run cost: time and memory of its stages.

In:  the benchmarks that Snakemake writes, a line per job.
Out: a figure and a page for the report.
"""
