"""tandem-orchestrator migrate: what a person does straight to the tables in the database of the configuration."""
