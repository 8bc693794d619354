"""Ladders through training: avatars that were trained on edits of known inconsistency.

Splats average what their edits disagree in, so an avatar hides most of it. `avatars` trains a
baseline and avatars as the workflow does, on edits that a ladder disturbed by a known amount.
`cases` lists the avatars to make, `making` makes and scores them, `tables` judges the metrics.
"""
