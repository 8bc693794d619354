"""The loop that trains every small model.

In:   `settings.LoopSettings`; networks; one function that draws the data of a step, and one that
      returns its loss.
Out:  averaged weights, a history of losses, and checkpoints to continue from.
Door: `training.TrainingLoop`, `progress.Progress`, `checkpoints.StateCheckpoint`,
      `settings.TrainingSettings` and `settings.LoopSettings`.
"""
