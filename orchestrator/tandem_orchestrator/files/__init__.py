"""Files that tenants upload: their bytes in a folder or a bucket, and their rows in the database."""
