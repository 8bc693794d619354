"""Proof of what the metrics measure: scores on ladders of known inconsistency, and on traps.

`scenes` makes consistent views, `ladders` makes them inconsistent by known amounts, `traps` changes
them in ways that must not matter, `cases` and `scoring` put them together, `runs` works through all
of it side by side, and `tables` and `figures` say what came out. `python -m headstyle.calibration`
runs it without Snakemake.
"""
