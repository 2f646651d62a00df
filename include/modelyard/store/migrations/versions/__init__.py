"""One file a revision; the newest has the highest number."""
