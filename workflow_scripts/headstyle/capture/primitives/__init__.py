"""Distance fields, noise and the kernels that evaluate them."""
