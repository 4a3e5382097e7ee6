"""tandem-orchestrator keys: what a person does straight to the keys in the database of the configuration."""
