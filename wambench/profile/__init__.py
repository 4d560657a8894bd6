"""What a policy costs: FLOPs counted without weights, latency measured, limits predicted."""
