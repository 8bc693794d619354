"""Methods side by side on the same heads and prompts, and people's judgments of them.

In:  renders of each method for each subject and prompt, and the views that all of them edited.
Out: scores by pair, ranks with intervals, the page; the benchmark's files and their checksums; the
     page on which people rate, and how well each metric agrees with them.
"""
