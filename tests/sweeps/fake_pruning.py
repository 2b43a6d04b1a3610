"""An audit of pruning that never ran: trials whose rank is the better known the later it is looked at."""

import numpy as np

from sweeps.analysis.pruning import Curve, PruningAudit, audit_pruning


def curves(num_trials: int = 30, capacities: tuple[str, ...] = ("width=0.25", "width=1")) -> list[Curve]:
    """Trials of 20 epochs; every third is stopped at epoch 8, and half of those are audited."""
    stream, found = np.random.default_rng(0), []
    for capacity in capacities:
        for number in range(num_trials):
            end, noise = stream.uniform(0.05, 0.3), stream.normal(size=21)
            values = {epoch: float(end + 0.2 * noise[epoch] * (1 - epoch / 20) ** 2) for epoch in range(1, 21)}
            stop, audited = (8 if number % 3 == 0 else None), number % 6 == 0
            found.append(Curve(capacity=capacity, alpha=32 * (number / num_trials) ** 3, epochs=20, values=values, stop_epoch=stop,
                               audited=audited, end=None if stop and not audited else values[20]))
    return found


def audit(num_trials: int = 30, capacities: tuple[str, ...] = ("width=0.25", "width=1")) -> PruningAudit:
    return audit_pruning(curves(num_trials, capacities), "asha", 0.5, (40, 80))
