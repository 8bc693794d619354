"""The rasterizer on the CPU: project, sort into tiles, blend rows of pixels."""
