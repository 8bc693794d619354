"""The procedural subject: a textured parametric head, and the rig that photographs it.

The world is head-centred and metric [m]: x to the viewer's right, y up, z out of the face, the
origin between the ears at eye level. The modules that model the head work in millimetres of the
same frame.

`identity` draws the traits of a seed. `anatomy`, `hair` and `clothes` turn the traits into shapes,
and `primitives.shapes` turns the shapes into meshes. `mouth` moves the lips. `paint` colours the
skin, the eyes and the hair. `surface` and `head` join the parts. `operators` edits the head,
`lighting` lights it, `rig` places the cameras, and `photograph` takes the pictures.
"""
