"""A kit by which anyone finds out what a metric of theirs is worth.

`items` lists what is in the kit: scenes on ladders of known inconsistency, with traps, and avatars
that were trained on such edits. `making` writes them as plain folders (`folders`) under names that
tell nothing; what they are lies apart. `answers` reads the values that somebody's metric gave, and
`card` with `page` says what it sees.
"""
