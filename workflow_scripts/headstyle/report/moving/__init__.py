"""The page of a head that moves: a slider over time, a choice of cameras, and temporal scores."""
