"""Test of what the metrics measure: scores on ladders of known inconsistency, and on traps.

A ladder makes views inconsistent in growing, known amounts. A trap changes all views in the same
way, which must not change a score. `scenes` makes consistent views; `ladders` and `traps` change
them. `cases` and `scoring` combine and score them, `runs` scores the cases in parallel, and
`tables`, `figures` and `page` show the results. `python -m headstyle.calibration` runs it without
Snakemake.
"""
