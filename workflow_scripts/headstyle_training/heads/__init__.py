"""Heads, true edits of them, and photographs of both.

In:   seeds, and `settings.HeadSettings`.
Out:  `pairs.EditBatch`: photographs, true edits of the same heads, and instructions in words.
Door: `training_banks.banks_of` for the heads of a training, `bank.HeadBank` for other heads;
      `pairs.PairStream` for pairs; `photographer.photograph` for other photographs.

Inside, in this order: `surfels` turns a seed's head into discs, `files` keeps them on disk, `bank`
lets worker processes make them and holds them on the device, `studio` draws cameras, lights and
colors, `photographer` renders, `wording` words the edits, `pairs` puts it all together.
"""
