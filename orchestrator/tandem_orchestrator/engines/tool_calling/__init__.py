"""Whether engines call tools and keep to JSON schemas: what they are asked, and what their answers mean."""
