"""Masks that agree: all views of known cameras vote on what is foreground.

In:  a COLMAP model, and the masks and photographs of its views.
Out: per view, what is carved from its mask and what is given back.
"""
