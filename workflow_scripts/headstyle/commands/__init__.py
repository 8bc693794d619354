"""The command `headstyle`: what can be done without running the workflow.

In:  paths of a user's files or of results.
Out: files, and lines on the terminal.
"""
