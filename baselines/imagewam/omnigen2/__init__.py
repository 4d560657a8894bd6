"""ImageWAM on OmniGen2, and its variants whose action reads a noisy or half-denoised goal."""
