"""What was learned: pure functions of ledger rows and predictions. Knows numpy and scipy; no database, no torch."""
