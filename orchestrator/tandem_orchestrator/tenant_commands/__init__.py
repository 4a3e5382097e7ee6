"""tandem-orchestrator tenants: what a person does straight to all that a tenant keeps in the database."""
