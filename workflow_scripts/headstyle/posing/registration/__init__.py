"""How views get their poses: which are chosen, what is tried in turn, and COLMAP itself."""
