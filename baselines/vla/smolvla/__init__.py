"""SmolVLA: half a small vision-language model, and an expert that reads its cache in two ways."""
