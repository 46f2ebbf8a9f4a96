"""Calibration of a network's probabilities: reliability, expected calibration error, temperature."""

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar

# The readout that a loss trains for: a loss is smallest where this is the probability of each class.
READOUTS = {
    "cross_entropy": "softmax",
    "mse": "clipped",
    "bce_with_logits": "sigmoid",
    "multilabel_soft_margin": "sigmoid",
}


def probabilities(logits: np.ndarray, readout: str = "softmax") -> np.ndarray:
    """Logits (N, K) as probabilities (N, K), float64 from 0 to 1, each row's sum 1.

    readout: "softmax"; "sigmoid", one logistic function per class, divided by their sum; "clipped", the logits
    themselves, those below 0 set to 0, divided by their sum. Each keeps the order of a row's logits.
    """
    scores = torch.as_tensor(logits, dtype=torch.float64)
    match readout:
        case "softmax":
            shares = scores.softmax(1)
        case "sigmoid":
            # a quotient of exponentials, since 1 / (1 + exp(-z)) of all classes may round to 0
            shares = torch.nn.functional.logsigmoid(scores).softmax(1)
        case "clipped":
            shares = scores.clamp(min=0) + 1e-9 * scores.softmax(1)  # the softmax only breaks ties, of zeros say
            shares = shares / shares.sum(1, keepdim=True)
        case _:
            raise ValueError(f"unknown readout {readout!r}; choose from softmax, sigmoid, clipped")
    return shares.clamp(max=1).numpy()  # a quotient may be rounded to 1 + 1e-16


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = 15, readout: str = "softmax") -> pd.DataFrame:
    """A row per bin of equal width, in percent: low, high, mean confidence, accuracy, and the count of images.

    logits (N, K), labels (N,). The confidence is the largest probability of an image. NaN for an empty bin; images
    whose logits are not finite are in none.
    """
    shares = probabilities(logits, readout)
    confidence, edges = shares.max(1), np.linspace(0, 1, bins + 1)
    known = np.isfinite(confidence)
    # a bin holds its lower edge; the last one its upper edge as well, so that certainty is in it
    number = np.minimum(np.searchsorted(edges, confidence[known], side="right") - 1, bins - 1)
    images = pd.DataFrame(
        {"confidence": 100 * confidence[known], "accuracy": 100.0 * (shares.argmax(1) == labels)[known]}
    )
    rows = (
        images.groupby(number)
        .agg(confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), count=("accuracy", "size"))
        .reindex(range(bins))
    )
    rows = rows.assign(low=100 * edges[:-1], high=100 * edges[1:], count=rows["count"].fillna(0).astype(int))
    return rows[["low", "high", "confidence", "accuracy", "count"]]


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15, readout: str = "softmax") -> float:
    """Expected calibration error in percentage points: the mean of |accuracy - confidence| over bins, by their counts.

    Guo et al. 2017, arXiv 1706.04599, over the bins of `reliability`. NaN without images, or with a logit that is no
    finite number.
    """
    if not len(logits) or not np.isfinite(logits).all():
        return float("nan")
    rows = reliability(logits, labels, bins, readout).dropna()
    return float(np.average((rows["accuracy"] - rows["confidence"]).abs(), weights=rows["count"]))


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 by which logits (N, K) are divided so that their cross-entropy with labels (N,) is smallest.

    To be fitted on images that the network was not trained on (Guo et al. 2017, arXiv 1706.04599, section 4.2): above
    1 where it is too sure. It changes no prediction. From 0.007 to 148; NaN where a logit is not finite.
    """
    if not np.isfinite(logits).all():
        return float("nan")
    scores, wanted = torch.as_tensor(logits, dtype=torch.float64), torch.as_tensor(labels, dtype=torch.int64)

    def loss(logarithm: float) -> float:
        return torch.nn.functional.cross_entropy(scores / np.exp(logarithm), wanted).item()

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x))


def of_half(logits: np.ndarray, labels: np.ndarray, readout: str) -> dict[str, float]:
    """How well a network's probabilities are calibrated on the second half of the images, in percentage points.

    The expected calibration error (ECE) of the softmax, of the softmax with a temperature, which is fitted on the first
    half, and of the loss's own readout; and the mean confidence minus the accuracy, of the own readout and the softmax.
    """
    half = len(labels) // 2
    t = temperature(logits[:half], labels[:half])
    logits, labels = logits[half:], labels[half:]
    right = (logits.argmax(1) == labels).mean()
    return {
        "ECE, softmax": calibration_error(logits, labels),
        "ECE, temperature": calibration_error(logits / t, labels),
        "ECE, own readout": calibration_error(logits, labels, readout=readout),
        "confidence minus accuracy": 100 * (probabilities(logits, readout).max(1).mean() - right),
        "confidence minus accuracy, softmax": 100 * (probabilities(logits).max(1).mean() - right),
    }
