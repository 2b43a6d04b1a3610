"""What may vary: dimensions, spaces and the named axes of a mixup study. Torch-free."""
