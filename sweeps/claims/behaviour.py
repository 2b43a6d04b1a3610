"""The claims on what mixup does to a model beyond its error: those of Zhang et al. (arXiv 1710.09412) on robustness, and those of
Carratino et al., On Mixup Regularization (arXiv 2006.06049).

Owns what each says, its contrasts, and what may explain a result; all of it was written before a study ran. Refuses to compute.
"""

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED, UNDECIDED
from sweeps.claims.claim import ABOVE_0, BELOW_0, NATS, RATIO, Claim, Claimed, Part, change, difference
from sweeps.claims.zhang import ARMS, CLEAN, ERM, ERROR, FEW, MIXUP, STRONG, TRAIN

APPROXIMATE = "approximate mixup 1"
_ATTACKS = {"fgsm": "FGSM", "ifgsm": "I-FGSM"}

Z6 = Claim(
    id="Z6", source="Zhang et al., section 3.5, table 3",
    says="Mixup makes a net more robust to FGSM and to I-FGSM, white box and black box, without adversarial training.",
    supported_by="Test error under white-box FGSM of 16/255 (one grey level of the digits): mixup (alpha 1) below plain training.",
    untested="Black box is tried on one replicate, which has no interval: it is shown and not judged.",
    parts=(
        *(Part(says=f"white box, {said} {size}/255: mixup below ERM", claimed=BELOW_0,
               terms=difference(CLEAN, f"robustness/{attack}_error_{size}", MIXUP, ERM))
          for size in (16, 4) for attack, said in _ATTACKS.items()),
        *(Part(says=f"black box, {said} 16/255 made on another plain model: mixup below ERM", claimed=BELOW_0,
               terms=difference(CLEAN, f"transfer/{attack} 16/attacker", MIXUP, ERM)) for attack, said in _ATTACKS.items())),
    explains={CONTRADICTED: "Mixup flattens the loss between examples, not around them: where classes lie far apart, as digits do, "
                            "a small ball holds no path to another class. Later work found its gain under strong attacks small.",
              SUPPORTED: "One step of a weak attack; I-FGSM beside it is the harder test.",
              UNDECIDED: FEW})

Z7 = Claim(
    id="Z7", source="Zhang et al., section 2, figure 2",
    says="Between two examples mixup predicts neither label less often, and has smaller input gradients.",
    supported_by="Share of misses on the way between examples of two classes: mixup (alpha 1) below plain training.",
    parts=(
        Part(says="misses between classes: mixup below ERM", terms=difference(CLEAN, "between_samples/miss_different", MIXUP, ERM),
             claimed=BELOW_0),
        Part(says="misses half way between classes: mixup below ERM", claimed=BELOW_0,
             terms=difference(CLEAN, "between_samples/miss_different_half", MIXUP, ERM)),
        Part(says="input gradient between classes, mixup against ERM", unit=RATIO, claimed=BELOW_0,
             terms=difference(CLEAN, "between_samples/gradient_norm_different", MIXUP, ERM)),
        Part(says="input gradient within a class, mixup against ERM", unit=RATIO, claimed=BELOW_0,
             terms=difference(CLEAN, "between_samples/gradient_norm_same", MIXUP, ERM))),
    explains={SUPPORTED: "This is what mixup trains for directly, so it is the claim that should hold if anything works.",
              CONTRADICTED: "A defect of the measurement would be the first thing to look for.", UNDECIDED: FEW})

C2 = Claim(
    id="C2", source="Carratino et al., section on approximate mixup",
    says="Approximate mixup, the second-order expansion, mimics mixup: more training error than plain training, less test error.",
    supported_by="Validation error of approximate mixup at alpha 1 below that of plain training.",
    parts=(
        Part(says="alpha 1: validation error below ERM", terms=difference(ARMS, ERROR, APPROXIMATE, ERM), claimed=BELOW_0),
        Part(says="alpha 1: training error above ERM", terms=difference(ARMS, TRAIN, APPROXIMATE, ERM), claimed=ABOVE_0),
        Part(says="alpha 1: validation error within 2 points of mixup", claimed=Claimed(low=-0.02, high=0.02),
             terms=difference(ARMS, ERROR, APPROXIMATE, MIXUP)),
        Part(says="alpha 0.2: validation error below ERM", terms=difference(ARMS, ERROR, "approximate mixup 0.2", ERM),
             claimed=BELOW_0),
        Part(says="alpha 0.2: validation error within 2 points of mixup", claimed=Claimed(low=-0.02, high=0.02),
             terms=difference(ARMS, ERROR, "approximate mixup 0.2", "alpha 0.2"))),
    explains={CONTRADICTED: "The expansion is no bound: it may fall below any risk, which training exploits where alpha is large.",
              UNDECIDED: FEW})

_AT = {MIXUP: "alpha 1", STRONG: "alpha 8"}

C3 = Claim(
    id="C3", source="Carratino et al., eq. 15",
    says="Predicting where mixup trained, with the input shrunk and the output stretched, improves accuracy and calibration.",
    supported_by="Test NLL, which rewards both, at alpha 1: by eq. 15 below that of the plain prediction of the same model.",
    parts=tuple(
        Part(says=f"{said}: {name} by eq. 15 below plain", claimed=BELOW_0, unit=unit,
             terms=change(CLEAN, arm, f"shrunk_prediction/eq15_{metric}", f"shrunk_prediction/plain_{metric}"))
        for arm, said in _AT.items()
        for metric, name, unit in (("nll", "NLL", NATS), ("error", "error", "points"), ("ece", "ECE", "points"))),
    explains={CONTRADICTED: "On clean, easy data a model under mixup may be rightly confident, so that stretching makes it too "
                            "sure; the fitted temperature in the study's report says which way it errs.",
              SUPPORTED: "Mixup predicts with too little confidence on unmixed data, and the stretch of 1/theta_bar undoes that.",
              UNDECIDED: FEW})

C4 = Claim(
    id="C4", source="Carratino et al., theorem 1",
    says="The label part of mixup is label smoothing by 1 - theta_bar toward the mean label; the entropy of predictions rises.",
    supported_by="Entropy of test predictions: label smoothing of mixup's size (alpha 1) above plain training.",
    untested="That the two are the same numbers is exact, and a test of this project (identity of theorem 1), not a study.",
    parts=(
        Part(says="label part above ERM", terms=difference(CLEAN, "test/entropy", "label part", ERM), claimed=ABOVE_0, unit=NATS),
        Part(says="mixup above ERM", terms=difference(CLEAN, "test/entropy", MIXUP, ERM), claimed=ABOVE_0, unit=NATS),
        Part(says="alpha 8 above alpha 1", terms=difference(CLEAN, "test/entropy", STRONG, MIXUP), claimed=ABOVE_0, unit=NATS),
        Part(says="mixing inputs only below mixup", claimed=BELOW_0, unit=NATS,
             terms=difference(CLEAN, "test/entropy", "inputs only", MIXUP))),
    explains={CONTRADICTED: "A defect would be the first thing to look for: smoothing keeps the best fit away from certainty.",
              UNDECIDED: FEW})

C5 = Claim(
    id="C5", source="Carratino et al., on the term R1",
    says="Thanks to label smoothing mixup goes on regularising the Jacobian at easy points; mixing inputs only loses that.",
    supported_by="Norm of the input Jacobian at training points: mixing inputs only above mixup, both at alpha 1.",
    parts=(
        Part(says="Jacobian at training points, inputs only against mixup", unit=RATIO, claimed=ABOVE_0,
             terms=difference(CLEAN, "jacobian/train_norm", "inputs only", MIXUP)),
        Part(says="Jacobian at test points, inputs only against mixup", unit=RATIO, claimed=ABOVE_0,
             terms=difference(CLEAN, "jacobian/test_norm", "inputs only", MIXUP)),
        Part(says="Jacobian at training points, mixup against ERM", unit=RATIO, claimed=BELOW_0,
             terms=difference(CLEAN, "jacobian/train_norm", MIXUP, ERM)),
        Part(says="term R1, inputs only against mixup", unit=RATIO, claimed=BELOW_0,
             terms=difference(CLEAN, "jacobian/R1", "inputs only", MIXUP))),
    explains={CONTRADICTED: "The Jacobian of the logits grows with their scale: a model that is sure of itself has a large one "
                            "for that alone, and one whose training has not ended a small one.",
              UNDECIDED: FEW})

CLAIMS = (Z6, Z7, C2, C3, C4, C5)
