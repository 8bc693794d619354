"""The mini perceptual metric: LPIPS in form, trained on judgements whose answers are known.

In:   `settings.PerceptualSettings`.
Out:  `model.safetensors` for the lpips package's class, with history, scores, sheet and card.
Door: `train.train_perceptual`.
"""
