"""Figures of the published study, with a run's own below them."""
