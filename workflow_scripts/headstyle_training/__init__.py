"""Trains the three small models that come with headstyle, on procedural heads.

In:   nothing but settings; heads are sculpted from seeds by `headstyle.capture`.
Out:  a folder per model: weights, history, scores, contact sheet and model card.
Door: the command line (`python -m headstyle_training`), `train_all.train_all`, and the trainings
      `editor.train.train_editor`, `matting.train.train_matting`,
      `perceptual.train.train_perceptual` with the settings beside them.

Rooms, each of which imports only those before it: `pictures`, `heads`, `loop`, and then `matting`,
`perceptual` and `editor`, which do not know each other.
"""
