"""The demo model: a tiny Llama that the project trains itself, so that tool calls are real without a network."""
