"""The LLMService resource as pydantic models: the one source of the CustomResourceDefinition."""
