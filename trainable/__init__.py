"""What one trial does: data, model, mixing, training, measuring. Knows torch; never ray, optuna, mlflow or yaml."""
