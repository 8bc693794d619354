"""The procedural subject: a textured parametric head, and the rig that photographs it.

The world is head-centred and metric: x to the viewer's right, y up, z out of the face, origin between the
ears at eye level [m]. The modules that model the head work in millimetres of the same frame.
"""
