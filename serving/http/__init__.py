"""HTTP as all routes share it: the server, its limits, answers and problems."""
