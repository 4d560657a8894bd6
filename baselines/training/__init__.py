"""Training policies on demonstrations: data, the loop, weights to ship."""
