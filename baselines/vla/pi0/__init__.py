"""pi0 and pi0.5: a vision-language model whose cache a small expert reads to denoise actions."""
