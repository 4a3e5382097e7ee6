"""The operator: one LLMService in, a two-tier LLM service out."""
