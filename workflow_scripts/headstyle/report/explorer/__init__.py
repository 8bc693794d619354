"""One page per run on which a person sees where the views of an avatar disagree.

In:  the views, renders, splats and scores of a run.
Out: an HTML page that needs no other file.
"""
