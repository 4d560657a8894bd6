"""The latency audit: one named protocol, whatever the device, with its own faults found."""
