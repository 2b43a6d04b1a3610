"""The claims of Zhang et al., mixup: Beyond Empirical Risk Minimization (arXiv 1710.09412), on alpha, training and arms.

Owns what each says, its contrasts, and what may explain a result; all of it was written before a study ran. Refuses to compute.
"""

import math

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED, UNDECIDED
from sweeps.claims.claim import (
    ABOVE_0,
    BELOW_0,
    FIRST,
    POINTS,
    RATIO,
    SHARE,
    Claim,
    Claimed,
    Part,
    Terms,
    change,
    difference,
    mean,
    minus,
    rung,
    slope,
)
from sweeps.claims.evidence import SETTLED

LADDER, NOISY, EPOCHS = "claims-ladder", "claims-ladder-noisy", "claims-epochs"
ARMS, CLEAN = "claims-arms", "claims-clean"
CORRUPTED = ("claims-corrupted-20", "claims-corrupted-50", "claims-corrupted-80")
ALPHAS = (0, 0.2, 1, 4, 32)
ERM, MIXUP, STRONG, NO_END = rung(0), rung(1), rung(8), rung(1e6)
ERROR, TRAIN, GAP = "val/error", "train_clean/error", "gap/error"
FEW = "More splits narrow the interval (`--set measure.splits=16`); what was measured does not exclude either answer."
EASY = "Digits are easy: with clean labels plain training is wrong on about two images in a hundred, so there is little to gain."


def _parts_of_alpha(study: str, where: str) -> tuple[Part, ...]:
    return (
        Part(says=f"training error rises with epsilon{where}", terms=slope(study, TRAIN, ALPHAS), claimed=ABOVE_0),
        Part(says=f"the gap falls with epsilon{where}", terms=slope(study, GAP, ALPHAS), claimed=BELOW_0),
        Part(says=f"alpha 1 has a lower validation error than alpha 0{where}",
             terms=difference(study, ERROR, MIXUP, ERM), claimed=BELOW_0),
        Part(says=f"alpha 1 has a lower validation error than alpha 32{where}",
             terms=difference(study, ERROR, MIXUP, rung(32)), claimed=BELOW_0))


def _parts_of_capacity(study: str, where: str) -> tuple[Part, ...]:
    return (
        Part(says=f"training error rises less with epsilon in the largest net than in the smallest{where}", claimed=BELOW_0,
             terms=minus(slope(study, TRAIN, ALPHAS), slope(study, TRAIN, ALPHAS, FIRST))),
        Part(says=f"alpha 1 lowers validation error more in the largest net than in the smallest{where}", claimed=BELOW_0,
             terms=minus(difference(study, ERROR, MIXUP, ERM), difference(study, ERROR, MIXUP, ERM, FIRST))))


Z1 = Claim(
    id="Z1", source="Zhang et al., section 5", parts=(*_parts_of_alpha(LADDER, ""), *_parts_of_alpha(NOISY, ", labels noisy")),
    says="A larger alpha raises the training error on real data and closes the generalisation gap, so a best alpha lies between.",
    supported_by="A positive slope of clean training error in epsilon = 1 - E max(lambda, 1 - lambda), in the largest net.",
    explains={
        CONTRADICTED: "A net that fits all real examples at any alpha has no training error to raise; with noisy labels, training "
                      "error counts wrong labels that a strong alpha rightly leaves unlearnt.",
        SUPPORTED: "That the best alpha lies inside the ladder is a further part, and needs far more splits than the slope.",
        UNDECIDED: f"{EASY} {FEW}"})

Z2 = Claim(
    id="Z2", source="Zhang et al., section 5 (a conjecture)",
    parts=(*_parts_of_capacity(LADDER, ""), *_parts_of_capacity(NOISY, ", labels noisy")),
    says="With more capacity the training error is less sensitive to a large alpha, and mixup gains more.",
    supported_by="The slope of clean training error in epsilon is smaller in the largest net than in the smallest.",
    explains={
        CONTRADICTED: "Where labels are wrong, only a large net learns them by heart at alpha 0; mixup undoes that, which raises "
                      "the error on the labels trained on most where most was memorised.",
        UNDECIDED: f"{EASY} {FEW}"})

Z3 = Claim(
    id="Z3", source="Zhang et al., section 3.1, table 1",
    says="Longer training helps mixup more than it helps plain training (ResNet-50: 90 to 200 epochs).",
    supported_by="From 10 to 30 epochs the validation error of mixup (alpha 1) falls further than that of plain training.",
    parts=(
        Part(says="10 to 30 epochs: mixup gains more than ERM", claimed=BELOW_0,
             terms=minus(difference(EPOCHS, ERROR, MIXUP, "mixup, short"), difference(EPOCHS, ERROR, ERM, "plain, short"))),
        Part(says="10 to 30 epochs: mixup gains", terms=difference(EPOCHS, ERROR, MIXUP, "mixup, short"), claimed=BELOW_0),
        Part(says="30 to 90 epochs: mixup gains more than ERM", claimed=BELOW_0,
             terms=minus(difference(EPOCHS, ERROR, "mixup, long", MIXUP), difference(EPOCHS, ERROR, "plain, long", ERM))),
        Part(says="30 to 90 epochs: mixup gains", terms=difference(EPOCHS, ERROR, "mixup, long", MIXUP), claimed=BELOW_0)),
    explains={
        CONTRADICTED: "The order may turn with the length: mixup is slower at first, and on small data very long training with it "
                      "was reported to hurt again.",
        UNDECIDED: f"{EASY} {FEW}"})

Z4 = Claim(
    id="Z4", source="Zhang et al., sections 3.1 and 5",
    says="On small images the training error on real data stays low even as alpha goes to infinity.",
    supported_by="Clean training error at alpha 1e6 is less than 1 point above that at alpha 0.",
    untested="The other half, that on ImageNet alpha in [0.1, 0.4] helps and larger ones underfit.",
    parts=(
        Part(says="training error at alpha 1e6 at most 1 point above alpha 0", terms=difference(CLEAN, TRAIN, NO_END, ERM),
             claimed=Claimed(high=0.01)),
        Part(says="training error at alpha 8 at most 1 point above alpha 0", terms=difference(CLEAN, TRAIN, STRONG, ERM),
             claimed=Claimed(high=0.01))),
    explains={CONTRADICTED: "1,000 examples and a narrow net: learning from averages alone needs capacity and epochs, and a trial "
                            "has 240 steps where the source has 78,000.",
              UNDECIDED: FEW})


def _over_noise(metric: str, arm: str, base: str) -> Terms:
    """The mean of a difference over the three shares of wrong labels."""
    return mean([difference(study, metric, arm, base) for study in CORRUPTED])


Z5 = Claim(
    id="Z5", source="Zhang et al., section 3.4, table 2",
    says="With 20, 50 or 80 % corrupted labels plain training memorises; dropout helps, mixup helps more, in the best and in the "
         "last epoch; both together are best in the last.",
    supported_by="Validation error (true labels) in the last epoch, mean over the three shares: mixup (alpha 8) below ERM.",
    parts=(
        Part(says="last epoch: mixup below ERM", terms=_over_noise(ERROR, STRONG, ERM), claimed=BELOW_0),
        *(Part(says=f"last epoch, {study.rpartition('-')[2]} %: mixup below ERM", terms=difference(study, ERROR, STRONG, ERM),
               claimed=BELOW_0) for study in CORRUPTED),
        Part(says="best epoch: mixup below ERM", terms=_over_noise("best/val_error", STRONG, ERM), claimed=BELOW_0),
        Part(says="last epoch: dropout 0.7 below ERM", terms=_over_noise(ERROR, "dropout", ERM), claimed=BELOW_0),
        Part(says="last epoch: mixup below dropout 0.7", terms=_over_noise(ERROR, STRONG, "dropout"), claimed=BELOW_0),
        Part(says="last epoch: mixup + dropout below mixup", terms=_over_noise(ERROR, "mixup + dropout", STRONG), claimed=BELOW_0),
        Part(says="mixup fits fewer of the replaced labels than ERM", claimed=ABOVE_0,
             terms=_over_noise("train_corrupt/error", STRONG, ERM)),
        Part(says="ERM: test error in the last epoch above that in the epoch validation chose", claimed=ABOVE_0,
             terms=mean([change(study, ERM, "memorisation/last", "memorisation/best_by_validation") for study in CORRUPTED]))),
    explains={SUPPORTED: "Dropout here is that of a small net at one rate; the source tunes its rate, so dropout may be undersold.",
              CONTRADICTED: "30 epochs may be too few for plain training to memorise, and too few for mixup to learn.",
              UNDECIDED: FEW})

Z8 = Claim(
    id="Z8", source="Zhang et al., section 3.8, table 5",
    says="Plain training prefers the larger weight decay (5e-4), mixup the smaller (1e-4).",
    supported_by="Raising the decay from 1e-3 to 5e-3 changes the validation error of mixup (alpha 1) by more than that of ERM.",
    parts=(
        Part(says="1e-3 to 5e-3: mixup's error changes by more than ERM's", claimed=ABOVE_0, terms=minus(
            difference(ARMS, ERROR, "mixup, decay 5e-3", "mixup, decay 1e-3"),
            difference(ARMS, ERROR, "plain, decay 5e-3", "plain, decay 1e-3"))),
        Part(says="1e-3 to 5e-3: ERM gains", claimed=BELOW_0,
             terms=difference(ARMS, ERROR, "plain, decay 5e-3", "plain, decay 1e-3")),
        Part(says="1e-3 to 5e-3: mixup loses", claimed=ABOVE_0,
             terms=difference(ARMS, ERROR, "mixup, decay 5e-3", "mixup, decay 1e-3")),
        Part(says="1e-4 to 5e-4, the source's pair: mixup's error changes by more than ERM's", claimed=ABOVE_0, terms=minus(
            difference(ARMS, ERROR, "mixup, decay 5e-4", MIXUP), difference(ARMS, ERROR, "plain, decay 5e-4", ERM)))),
    explains={CONTRADICTED: "Weight decay acts through learning rate x decay x steps, and a trial has 1/300 of the source's "
                            "steps; what is right there need not be right here.",
              UNDECIDED: f"In 240 steps weight decay does little at any of these values. {FEW}"})

_RIVALS = {"inputs only": "mixing inputs only", "within a class": "mixing within a class",
           "near neighbours": "mixing near neighbours", "label smoothing": "label smoothing 0.1",
           "inputs only + smoothing": "mixing inputs only, with smoothing 0.1"}

Z9 = Claim(
    id="Z9", source="Zhang et al., section 3.8, table 5",
    says="Mixing inputs and labels of random pairs beats mixing inputs only, mixing within a class or among near neighbours, label "
         "smoothing, and mixing inputs with smoothing.",
    supported_by="Validation error of mixup below that of mixing inputs only, both at alpha 1.",
    untested="Mixing hidden layers and adding noise, which the table has as well, are arms of the study `methods`.",
    parts=tuple(Part(says=f"mixup below {said}", terms=difference(ARMS, ERROR, MIXUP, arm), claimed=BELOW_0)
                for arm, said in _RIVALS.items()),
    explains={CONTRADICTED: "A fifth of the labels is wrong here, which the source's table does not have, and what keeps a wrong "
                            "label whole fares differently under them.",
              SUPPORTED: "Asked at 20 % wrong labels, where the distances are larger than on the source's clean CIFAR-10.",
              UNDECIDED: FEW})

Z10 = Claim(
    id="Z10", source="Zhang et al., section 3.2",
    says="Mixup and plain training converge at a similar speed.",
    supported_by="The share of its epochs after which validation error stays within 2 points of its last differs by less than 20 "
                 "points of that share.",
    parts=(Part(says="alpha 1 settles within 20 % of the epochs of ERM", terms=difference(CLEAN, SETTLED, MIXUP, ERM),
                claimed=Claimed(low=-0.2, high=0.2), unit=SHARE),
           Part(says="alpha 8 settles within 20 % of the epochs of ERM", terms=difference(CLEAN, SETTLED, STRONG, ERM),
                claimed=Claimed(low=-0.2, high=0.2), unit=SHARE)),
    explains={CONTRADICTED: "30 epochs of 8 steps are so short that the slower start of mixup fills much of them; over 200 epochs "
                            "the same number of steps is a hundredth.",
              SUPPORTED: "A cosine schedule makes every curve settle late: it hides differences that a constant rate would show.",
              UNDECIDED: FEW})

Z12 = Claim(
    id="Z12", source="Zhang et al., section 2",
    says="Mixup costs next to nothing, and mixing one loader with itself is as good as two loaders.",
    supported_by="Seconds of a trial with mixup (alpha 1) are less than 1.05 times those without, paired by split.",
    parts=(Part(says="seconds of a trial, mixup against ERM", terms=difference(ARMS, "cost/seconds", MIXUP, ERM),
                claimed=Claimed(high=math.log(1.05)), unit=RATIO),
           Part(says="two loaders within 1 point of one", terms=difference(ARMS, ERROR, "two loaders", MIXUP),
                claimed=Claimed(low=-0.01, high=0.01), unit=POINTS)),
    explains={CONTRADICTED: "Steps here take milliseconds, so a fixed cost of microseconds shows; on a large net it would not. "
                            "Trials share two cores with each other and with whatever else runs.",
              UNDECIDED: f"Times of trials on a shared machine vary by tens of percent. `make bench` times single steps. {FEW}"})

CLAIMS = (Z1, Z2, Z3, Z4, Z5, Z8, Z9, Z10, Z12)
