"""Tasks: prompts with a schema on either side, declared in the configuration and served at paths of their own."""
