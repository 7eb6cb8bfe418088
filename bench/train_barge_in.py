"""Trains ``processors/turns/data/barge_in_sound.npz``: does the beginning of speech take the floor, or say "mm-hm"?

python -m bench.train_barge_in CLIPS.npz [CLIPS.npz ...] --out processors/turns/data/barge_in_sound.npz

Each file holds ``x`` (clips of 16 kHz int16 samples, speech beginning at 0.5 s, one row each), ``interrupts`` (bool per
row), ``voice`` and ``text`` (strings per row). The shipped weights were trained on 2,800 synthetic clips: Kokoro-82M
(28 English voices), Piper's joe, espeak-ng (7 English and 5 Korean variants); 50 listener's phrases and 500 beginnings
of sentences, at several speeds, loudnesses and noise levels. Prints how well voices and sentences are told apart that
were left out of training; the weights written are trained on everything.
"""

import argparse
import sys

import numpy as np
import soxr

from processors.turns.barge_in_sound import RATE, WINDOW_SECS, features, find_start

START = RATE // 2
WINDOW = round(WINDOW_SECS * RATE)
HIDDEN, EPOCHS, BATCH = 64, 25, 128
LEARNING_RATE, DECAY, DROPOUT = 2e-3, 5e-2, 0.4
TAKES = 5


def take(clip: np.ndarray, rng: np.random.Generator, speed: float) -> np.ndarray:
    """Features of a clip as another room, distance and pace would give them."""
    samples = soxr.resample(clip.astype(np.float64), RATE, RATE / speed)
    level, noise = 10 ** (rng.uniform(-16, 3) / 20), 32768 * 10 ** (rng.uniform(-75, -45) / 20)
    samples = samples * level + rng.standard_normal(len(samples)) * noise
    noticed = round(START / speed) + round(rng.uniform(0.04, 0.2) * RATE)
    start = max(0, find_start(samples, noticed) + round(rng.normal(0, 80)))
    return features(samples[start : start + WINDOW])


def fit(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Train one hidden layer with AdamW; returns w0, b0, w1, b1."""
    weights = [rng.standard_normal((x.shape[1], HIDDEN)) * np.sqrt(2 / x.shape[1]), np.zeros(HIDDEN)]
    weights += [rng.standard_normal((HIDDEN, 1)) * np.sqrt(2 / HIDDEN), np.zeros(1)]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    balance = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    step = 0
    for epoch in range(EPOCHS):
        rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for chosen in np.split(rng.permutation(len(x)), range(BATCH, len(x), BATCH)):
            step += 1
            batch = x[chosen] * (rng.random((len(chosen), x.shape[1])) > 0.15)
            hidden = batch @ weights[0] + weights[1]
            mask = (hidden > 0) * (rng.random(hidden.shape) > DROPOUT) / (1 - DROPOUT)
            active = hidden * mask
            output = 1 / (1 + np.exp(-(active @ weights[2] + weights[3])[:, 0]))
            error = ((output - (y[chosen] * 0.95 + 0.025)) * balance[chosen])[:, None] / len(chosen)
            back = error @ weights[2].T * mask
            gradients = [batch.T @ back, back.sum(0), active.T @ error, error.sum(0)]
            for i, gradient in enumerate(gradients):
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.999 * second[i] + 0.001 * gradient**2
                change = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                weights[i] -= rate * (change + (DECAY * weights[i] if weights[i].ndim == 2 else 0.0))
    return weights


def predict(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Probability of an interruption, one per row."""
    hidden = np.maximum(x @ weights[0] + weights[1], 0.0)
    return 1 / (1 + np.exp(-(hidden @ weights[2] + weights[3])[:, 0]))


def main() -> int:
    """Train, tell how well it does, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    files = [np.load(path) for path in options.clips]
    clips, interrupts, voices, texts = (
        np.concatenate([file[name] for file in files]) for name in ("x", "interrupts", "voice", "text")
    )
    left_out = np.isin(voices, np.unique(voices)[::4]) | np.isin(texts, np.unique(texts[interrupts])[::6])
    known = np.flatnonzero(~left_out)
    rows = [take(clips[i], rng, rng.uniform(0.85, 1.2)) for i in known for _ in range(TAKES)]
    x, y = np.array(rows), np.repeat(interrupts[known], TAKES).astype(float)
    mean, scale = x.mean(0), 1 / (x.std(0) + 1e-3)
    unknown = np.array([take(clips[i], rng, 1.0) for i in np.flatnonzero(left_out)])
    truth = interrupts[left_out]
    guess = predict((unknown - mean) * scale, fit((x - mean) * scale, y, rng))
    print(f"area under the curve: {np.mean(guess[truth][:, None] > guess[~truth][None]):.3f}")
    for threshold in np.arange(0.2, 0.9, 0.1):
        found, stopped = np.mean(guess[truth] >= threshold), np.mean(guess[~truth] >= threshold)
        print(f"threshold {threshold:.1f}: {found:.2f} of interruptions, {stopped:.2f} of backchannels")
    everything = np.concatenate([x, unknown])
    weights = fit((everything - mean) * scale, np.concatenate([y, truth.astype(float)]), rng)
    named = dict(zip(("w0", "b0", "w1", "b1"), weights, strict=True), mean=mean, scale=scale)
    np.savez(options.out, **{name: value.astype(np.float32) for name, value in named.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
