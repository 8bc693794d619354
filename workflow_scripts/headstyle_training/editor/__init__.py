"""The mini editor: an InstructPix2Pix for procedural heads at 256 px.

In:   `settings.EditorSettings`.
Out:  a pipeline folder in the format of diffusers, with a model card and `evaluation/`.
Door: `train.train_editor`; `evaluate.evaluate_shipped` scores a pipeline folder again.
"""
