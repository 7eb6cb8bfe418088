"""Teaches the network of interruptions a second answer: whether what it hears is speech at all, or laughter, a cough.

python -m bench.barge_in.spoken CLIPS.npz [CLIPS.npz ...] [--model FILE.onnx]

The network stays as it is: a logistic regression over what its last layer has made of the sound becomes the output
``spoken``. It learns from speech in many takes (``bench.barge_in.clips``) and from sounds that are none
(``bench.barge_in.vocal``); it takes minutes and needs ``onnx`` beside the project.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from bench.barge_in.takes import CLIP, START, Takes
from bench.barge_in.vocal import VOCAL_SOUNDS
from halfcascade.processors.turns.barge_in_sound import MODEL, RATE, scaled

OUTPUT = "spoken"
SOUNDS = 2_500
"""How many sounds that are no speech are learned from."""
LENGTHS = (0.3, 0.37, 0.5, 0.7)
"""Lengths of the beginnings that are learned from, in seconds."""
# How much of a stranger's voice is to be explained by few features: the larger, the smoother.
_SMOOTHNESS = 1.5
_STEPS, _BATCH = 12, 32
_FEATURES = f"{OUTPUT}.features"
_NOISES_PER_VOCAL_SOUND = 0.12


def examples(clips: np.ndarray, takes: Sequence[int], sounds: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Make takes of speech, and of sounds that are none.

    Args:
        clips: Speech, int16 at ``RATE``, one clip a row.
        takes: How many of each clip.
        sounds: How many sounds that are no speech.
        seed: Of everything that is left to chance.

    Returns:
        Takes of both, int16, one a row.
    """
    rng = np.random.default_rng(seed)
    maker = Takes(clips, rng)
    speech = [maker.varied(clip) for clip, count in zip(clips, takes, strict=True) for _ in range(count)]
    others = [maker.noise() for _ in range(round(sounds * _NOISES_PER_VOCAL_SOUND))]
    for _ in range(sounds - len(others)):
        sound = VOCAL_SOUNDS[rng.integers(len(VOCAL_SOUNDS))](rng)[: CLIP - START]
        clip = np.zeros(CLIP, np.float32)
        clip[START : START + len(sound)] = sound / (np.abs(sound).max() + 1e-9) * 16_000
        others.append(maker.varied(clip))
    return np.array(speech), np.array(others)


def heard(model: onnx.ModelProto, takes: np.ndarray, secs: float) -> np.ndarray:
    """What the network's last layer makes of beginnings.

    Args:
        model: The network.
        takes: One a row.
        secs: How long the beginnings are.

    Returns:
        One row of features a take.
    """
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    add_features(seen.graph)
    seen.graph.output.append(helper.make_tensor_value_info(_FEATURES, TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(seen.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = np.stack([scaled(take[: round(secs * RATE)]) for take in takes])
    return np.concatenate(
        [session.run([_FEATURES], {"samples": rows[at : at + _BATCH]})[0] for at in range(0, len(rows), _BATCH)]
    )


def add_features(graph: onnx.GraphProto) -> None:
    """Let a graph compute what the second answer is made of, in place of what it may have of it.

    That is the mean and the maximum over time, of which the network's own answer is made, and how much each value
    varies over time, and from one moment to the next: bursts of laughter are unlike words in that.

    Args:
        graph: Of the network.
    """
    for kept in (graph.node, graph.initializer, graph.output):
        for one in [one for one in kept if one.name.startswith(OUTPUT)]:
            kept.remove(one)
    pooled = [node.input[0] for node in graph.node if node.op_type == "Gemm"][-1]
    moments = [node.output[0] for node in graph.node if node.op_type == "LayerNormalization"][-1]
    for name, number in (("one", 1), ("minus_one", -1), ("zero", 0), ("last", np.iinfo(np.int64).max)):
        graph.initializer.append(numpy_helper.from_array(np.array([number], np.int64), f"{OUTPUT}.{name}"))

    def compute(operation: str, result: str, *inputs: str, **attributes: object) -> str:
        name = f"{OUTPUT}.{result}"
        graph.node.append(helper.make_node(operation, list(inputs), [name], name, **attributes))
        return name

    one, minus_one, zero, last = (f"{OUTPUT}.{name}" for name in ("one", "minus_one", "zero", "last"))
    middle = compute("ReduceMean", "middle", moments, axes=[1])
    away = compute("Sub", "away", moments, middle)
    variance = compute("ReduceMean", "variance", compute("Mul", "square", away, away), axes=[1], keepdims=0)
    steps = compute(
        "Sub", "steps", compute("Slice", "later", moments, one, last, one),
        compute("Slice", "earlier", moments, zero, minus_one, one),
    )  # fmt: skip
    step = compute("ReduceMean", "step", compute("Abs", "size", steps), axes=[1], keepdims=0)
    compute("Concat", _FEATURES.removeprefix(f"{OUTPUT}."), pooled, compute("Sqrt", "spread", variance), step, axis=1)


def regress(yes: np.ndarray, no: np.ndarray) -> tuple[np.ndarray, float]:
    """Logistic regression, both kinds weighing the same.

    Args:
        yes: Features of speech, one row each.
        no: Features of what is none.

    Returns:
        Weights and bias.
    """
    features = np.concatenate([yes, no]).astype(np.float64)
    middle, spread = features.mean(0), features.std(0) + 1e-6
    x = np.column_stack([(features - middle) / spread, np.ones(len(features))])
    truth = np.repeat([1.0, 0.0], [len(yes), len(no)])
    share = np.repeat([0.5 / len(yes), 0.5 / len(no)], [len(yes), len(no)])
    penalty = np.full(x.shape[1], _SMOOTHNESS)
    penalty[-1] = 0.0
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):  # Newton's method.
        guess = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (share * (guess - truth)) + penalty * weights
        curve = (x * (share * guess * (1 - guess))[:, None]).T @ x + np.diag(penalty + 1e-9)
        weights -= np.linalg.solve(curve, slope)
    return weights[:-1] / spread, float(weights[-1] - (weights[:-1] * middle / spread).sum())


def add_output(model: onnx.ModelProto, weights: np.ndarray, bias: float) -> None:
    """Give the network its second answer, in place of the one it may have.

    Args:
        model: The network.
        weights: Of the features.
        bias: To add.
    """
    graph = model.graph
    add_features(graph)
    graph.initializer.extend(
        [
            numpy_helper.from_array(weights.astype(np.float32)[:, None], f"{OUTPUT}.weights"),
            numpy_helper.from_array(np.array([bias], np.float32), f"{OUTPUT}.bias"),
        ]
    )
    inputs, column, row = [_FEATURES, f"{OUTPUT}.weights", f"{OUTPUT}.bias"], f"{OUTPUT}.column", f"{OUTPUT}.row"
    graph.node.extend(
        [
            helper.make_node("Gemm", inputs, [column], column),
            helper.make_node("Reshape", [column, f"{OUTPUT}.minus_one"], [row], row),
            helper.make_node("Sigmoid", [row], [OUTPUT], OUTPUT),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch"]))
    onnx.checker.check_model(model)


def teach(path: Path, clips: np.ndarray, takes: Sequence[int], sounds: int) -> None:
    """Teach a network in a file the second answer.

    Args:
        path: The file.
        clips: Speech, int16 at ``RATE``, one clip a row.
        takes: How many takes of each clip.
        sounds: How many sounds that are no speech.
    """
    model = onnx.load(str(path))
    speech, others = examples(clips, takes, sounds)
    yes, no = (np.concatenate([heard(model, those, secs) for secs in LENGTHS]) for those in (speech, others))
    add_output(model, *regress(yes, no))
    onnx.save(model, str(path))


def main() -> int:
    """Teach the shipped network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--sounds", type=int, default=SOUNDS, help="sounds that are no speech")
    options = parser.parse_args()
    files = [np.load(path) for path in options.clips]
    # Voices that sound like people, "af_bella", are worth more takes than those that sound like machines.
    takes = [4 if "_" in str(voice) else 2 for file in files for voice in file["voice"]]
    teach(options.model, np.concatenate([file["x"] for file in files]), takes, options.sounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
