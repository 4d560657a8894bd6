"""Is the future that a policy imagines true? Held against what the simulator then shows."""
