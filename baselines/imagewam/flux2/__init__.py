"""ImageWAM on FLUX.2 klein."""
