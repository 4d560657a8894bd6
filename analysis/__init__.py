"""Read-only views of finished runs: statistics and reports. Builds on ``wambench`` alone."""
