"""A look at results while they are made and after: progress, differences of two runs, and 3D.

In:  folders of results.
Out: lines on the terminal, pages, and a viewer in the browser.
"""
