"""Vision-language-action baselines: policies without a model of the world."""
