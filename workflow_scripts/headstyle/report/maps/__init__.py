"""Pictures of where a head's views disagree."""
