"""Editors that are whole pipelines of diffusers: their folders, and the calls that edit views."""
