"""Whether a baseline is good enough to build on, and if not, why.

In:  a baseline's views, renders and scores, and what is known of their poses.
Out: measurements per view, and a note for the report's first page.
"""
