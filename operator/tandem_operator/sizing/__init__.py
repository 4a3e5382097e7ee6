"""How many GPUs a model needs, from a few figures of it: pure arithmetic, of vLLM's use of memory."""
