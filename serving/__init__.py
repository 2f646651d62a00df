"""The Ray Serve application that answers predictions."""
