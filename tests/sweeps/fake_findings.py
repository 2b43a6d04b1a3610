"""What diagnostics might have found in the study of fake_results: numbers, curves, bins and a matrix of attacks."""

from typing import Any

from sweeps.analysis.findings import ArmFindings, CapacityFindings, Spread, StudyFindings, spread

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
LAMBDAS = [step / 10 for step in range(11)]


def line(*means: float) -> list[Spread]:
    return [spread([mean - 0.01, mean, mean, mean + 0.01], 0.0) for mean in means]


def arm(alpha: float) -> ArmFindings:
    robust = 1 / (2 + alpha)
    return ArmFindings(
        label=f"alpha {alpha:g}", alpha=alpha, num_trials=4,
        values={"calibration/nll": spread([0.4, 0.44, 0.42, 0.41], 0.0), "calibration/temperature_at_edge": spread([0.0, 0.0], 0.0),
                "robustness/pgd_error_16": spread([robust, robust + 0.1], 0.0), "memorisation/last": spread([0.25], 0.0)},
        lines={"robustness/error/epsilon_255": [Spread(mean=float(each), error=0.0, n=4) for each in (0, 4, 16)],
               **{f"robustness/error/{name}": line(0.1, robust, 0.9) for name in ("fgsm", "ifgsm", "pgd")},
               "between_samples/curve/lam": [Spread(mean=lam, error=0.0, n=4) for lam in LAMBDAS],
               **{f"between_samples/curve/{what}_{kind}": line(*(lam * (1 - lam) for lam in LAMBDAS))
                  for what in ("miss", "gradient_norm") for kind in ("same", "different")},
               "memorisation/test_error": line(0.5, 0.3, 0.4)},
        facts={"robustness/error/num_examples": 400, "between_samples/curve/num_pairs": {"same": 90, "different": 120}},
        bins={"calibration/reliability_width": {"count": [0, 40, 360], "confidence": [None, 0.5, 0.95],
                                                "accuracy": [None, 0.4, 0.9], "gap": [None, 0.1, 0.05]}})


def matrix(count: int = 2) -> dict[str, Any]:
    rows: list[list[float | None]] = [[0.9 if source == target else 0.4 for target in range(count)] for source in range(count)]
    return {"models": [{"key": f"k{each}", "label": f"width=1, alpha {each}", "capacity": "width=1", "alpha": float(each)}
                       for each in range(count)],
            "clean": [0.1] * count, "attacks": {"fgsm 16": rows, "pgd 16": rows},
            "epsilon_255": [16], "num_examples": 400, "split": 1,
            "repeat": 0, "left_out": []}


def findings(capacities: tuple[str, ...] = ("width=0.25", "width=0.5", "width=1"), **changes: Any) -> StudyFindings:
    known: dict[str, Any] = {"lacking": {"robustness": 3}, "num_trials": 84, "transfer": matrix()}
    each = tuple(CapacityFindings(capacity=name, arms=tuple(arm(alpha) for alpha in ALPHAS), overlap=0.25) for name in capacities)
    return StudyFindings(capacities=each, **{**known, **changes})
