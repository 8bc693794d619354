"""The mini matting: a U-Net that finds heads in photographs.

In:   `settings.MattingSettings`.
Out:  `model.onnx` for rembg's `u2net_custom` session, with history, scores, sheet and card.
Door: `train.train_matting`; `scores.score_photographs` scores masks of photographs.
"""
