"""tandem-orchestrator migrate and keys: what a person does straight to the database of the configuration."""
