"""Which trials, where, and what was learned: studies, the ledger, Ray Tune, Optuna, MLflow, analysis, reports."""
