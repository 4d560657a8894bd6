"""Video world-action models on Wan2.2: FastWAM in its plain, joint and idm forms."""
