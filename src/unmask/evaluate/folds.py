"""Support vectors on vectors of whole samples, in folds: how small sets of graphs are compared."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of a support vector machine; the released code of GraphMAE


@dataclass(frozen=True)
class Folds:
    """Accuracy on the samples that each fold left out: the mean, and its deviation from fold to fold."""

    mean: float
    spread: float
    count: int


def in_folds(
    vectors: Float[np.ndarray, "n d"], labels: Int64[np.ndarray, "n"], folds: int = 10, seed: int = 0
) -> Folds:
    """A support vector machine taught on all folds but one, its strength chosen within these, asked about that one.

    Source: the evaluation of InfoGraph (Sun et al. 2020), as in the released code of GraphMAE. Raises ValueError where
    a class has fewer samples than there are folds.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    if folds < 2 or fewest < folds:
        raise ValueError(f"{folds} folds need as many samples of every class, and at least 2; the rarest has {fewest}")
    scores = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(vectors, labels):
        search = GridSearchCV(SVC(random_state=42), {"C": list(STRENGTHS)})
        search.fit(vectors[train], labels[train])
        scores.append(float((search.predict(vectors[test]) == labels[test]).mean()))
    return Folds(float(np.mean(scores)), float(np.std(scores)), folds)
