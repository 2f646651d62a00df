"""What a request brings, read and checked."""
