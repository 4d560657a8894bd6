"""How rows of a study name their place."""

EPISODE = ["suite", "task_index", "init_state", "seed"]
WHAT = ["policy", "prediction", "truth", "offset", "camera", "region"]
