"""What a trained network's predictions look like beyond their error. One question a module."""
