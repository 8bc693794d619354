"""The rasterizer on CUDA: gsplat's parts, and Triton kernels for colors."""
