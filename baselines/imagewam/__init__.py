"""ImageWAM: an image-editing transformer runs once, and an action expert reads its cache."""
