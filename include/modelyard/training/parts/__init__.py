"""Parts that are registered with Ludwig; importing them imports torch."""
