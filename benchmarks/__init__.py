"""This project beside its peers: the same work in the same run, measured and written down with its bar."""
