"""Tables as CSV and TSV files: the one door through which they are read and written.

A path and whose file it is come in (`headstyle.base.errors.Origin`); rows of text go out (`rows`),
or data frames (`frames`). A file whose name ends in `.tsv` is separated by tabs, every other one by
commas.
"""
