"""How far a run is, for the person before the terminal.

In:  what Snakemake tells its logger of the jobs, and the logs of the stages.
Out: a line per finished job, the time that is left, and where to look at the end.

Only what is in the standard library is imported: every process of Snakemake loads this.
"""
