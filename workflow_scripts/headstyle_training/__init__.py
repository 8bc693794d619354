"""What the three small models learn from, and how they are trained.

`surfels` turns the heads of seeds, and true edits of them, into discs; `head_bank` has worker
processes make many of them and holds them on the device; `studio` draws cameras, lights and colors;
`photographer` photographs discs; `pairs` puts photograph, true edit and instruction together.
`wording` holds the instructions' words, `backgrounds` what may stand behind a head.
"""
