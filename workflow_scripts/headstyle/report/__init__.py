"""Figures and pages that people look at.

In:  tables and images of a run.
Out: PNG, JPEG and HTML files.
"""
