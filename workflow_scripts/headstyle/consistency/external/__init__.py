"""Metrics that were computed elsewhere: their values join the study's tables by a CSV file.

`settings` says what the configuration may hold of them, `reading` checks a file against the study,
and `joining` adds its values, what they are read against, and nothing else to the tables.
"""
