"""The way from the endpoint to the variants."""
