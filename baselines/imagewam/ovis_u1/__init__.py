"""ImageWAM on Ovis-U1: the editor is Yak, and a vision-language model reads picture and words."""
