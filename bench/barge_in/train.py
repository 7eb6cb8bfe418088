"""Trains ``processors/turns/data/barge_in_sound.onnx``: does the beginning of speech take the floor, or say "mm-hm"?

python -m bench.barge_in.clips --out CLIPS.npz ...
python -m bench.barge_in.train CLIPS.npz [CLIPS.npz ...] --out FILE.onnx [--steps N] [--seeds N] [--held-out]

The voices of ``unseen.ogg`` are left out of training; with ``--held-out`` some sentences are as well, and it prints how
well those are told apart. Several trainings from the same start are averaged. Then the network is taught its second
answer (``spoken``). Needs ``torch onnx onnxscript`` beside the project; a GPU makes it minutes.
"""

import argparse
import sys
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.barge_in import spoken
from bench.barge_in.clips import HELD_OUT_VOICES
from bench.barge_in.network import Network, Probability, from_smart_turn
from bench.barge_in.takes import Takes
from halfcascade.processors.turns.barge_in_sound import RATE, InterruptionSound

BATCH, STEPS = 256, 8_000
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 2e-4, 0.03, 200
# How much of the running mean of the weights each step keeps: the mean is what is shipped.
KEPT = 0.999
# As many clips are enough for the second answer.
SPOKEN_CLIPS = 1_500
# Lengths of the beginnings that are learned from, in seconds: the shipped looks lie among them.
LENGTHS = (0.2, 0.25, 0.3, 0.35, 0.37, 0.37, 0.4, 0.5, 0.6)
# How certain an answer may become, and how often two beginnings are mixed, so that few voices teach about many.
_CERTAIN, _MIXED = 0.97, 0.4
_NOISES_PER_CLIP = 1 / 12
# Matrices with fewer rows than the network is wide are filters, not weights.
_SMALLEST_ROUNDED = 384


@dataclass(frozen=True)
class Clips:
    """Utterances, one a row.

    Parameters:
        x: int16 samples at ``RATE``, speech beginning at 0.5 s.
        interrupts: Whether it takes the floor.
        korean: Whether it is Korean.
        text: What is said.
        voice: Who says it.
        unseen_voice: Whether all its voices are left out of training.
        unseen_text: Whether it is an interruption whose words are left out.
        partly_unseen: Whether any of its voices is left out.
    """

    x: np.ndarray
    interrupts: np.ndarray
    korean: np.ndarray
    text: np.ndarray
    voice: np.ndarray
    unseen_voice: np.ndarray
    unseen_text: np.ndarray
    partly_unseen: np.ndarray


def load(paths: list[Path]) -> Clips:
    """Read clips and see which are to be held out."""
    files = [np.load(path) for path in paths]
    x, interrupts, korean, texts, voices = (
        np.concatenate([file[name] for file in files]) for name in ("x", "interrupts", "korean", "text", "voice")
    )
    # Kokoro's voices may be mixed, "af_bella+bm_lewis"; an espeak-ng voice is one, "en-us+m7".
    named = [set(voice.split("+")) if "_" in voice else {voice} for voice in voices]
    sixth = [zlib.crc32(text.lower().strip(".?! ").encode()) % 6 == 0 for text in texts]
    return Clips(
        x=x,
        interrupts=interrupts,
        korean=korean,
        text=texts,
        voice=voices,
        unseen_voice=np.array([names <= HELD_OUT_VOICES for names in named]),
        unseen_text=interrupts & np.array(sixth),
        partly_unseen=np.array([bool(names & HELD_OUT_VOICES) for names in named]),
    )


def prepare(clips: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make several takes of each clip, and of noises; returns them and the index of the clip, -1 for a noise."""
    takes = Takes(clips, np.random.default_rng(seed))
    made = [takes.varied(clip) for clip in clips for _ in range(count)]
    noises = [takes.noise() for _ in range(round(len(clips) * count * _NOISES_PER_CLIP))]
    return np.array(made + noises), np.array([i for i in range(len(clips)) for _ in range(count)] + [-1] * len(noises))


def prepare_all(clips: Clips, rows: np.ndarray, count: int, processes: int) -> tuple[np.ndarray, np.ndarray]:
    """Make takes of some clips in several processes; returns them and the truth of each."""
    parts = [rows[first :: 4 * processes] for first in range(4 * processes)]
    with ProcessPoolExecutor(processes) as pool:
        jobs = [pool.submit(prepare, clips.x[part], count, seed) for seed, part in enumerate(parts)]
        made = [job.result() for job in jobs]
    truths = [np.append(clips.interrupts[part], False)[index] for part, (_, index) in zip(parts, made, strict=True)]
    return np.concatenate([takes for takes, _ in made]), np.concatenate(truths).astype(np.float32)


def fit(network: Network, takes: np.ndarray, interrupts: np.ndarray, steps: int, seed: int = 0) -> Network:
    """Train for a number of steps.

    Args:
        network: Where to start from.
        takes: int16, one take a row.
        interrupts: Truth of each, 0.0 to 1.0.
        steps: How many batches.
        seed: Of their order.

    Returns:
        The running mean of the network while it was trained.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network.to(device).train()
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(KEPT))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    share = float(interrupts.mean())
    samples = torch.from_numpy(takes).to(device)
    truths = torch.tensor(interrupts, dtype=torch.float32, device=device)
    for step in range(steps):
        rate = min(1.0, (step + 1) / WARM_UP) * (0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        chosen = torch.from_numpy(rng.integers(len(takes), size=BATCH)).to(device)
        first, length = rng.integers(0, 400) * rng.integers(2), round(rng.choice(LENGTHS) * RATE)
        with torch.no_grad():
            shapes = network.spectrogram(samples[chosen, first : first + length].float() / 32768)
        band = rng.integers(0, 70)
        shapes[:, band : band + rng.integers(0, 12)] = -1.0
        truth = truths[chosen]
        balance = truth * (0.5 / share) + (1 - truth) * (0.5 / (1 - share))
        if rng.random() < _MIXED:
            mix, other = float(rng.beta(0.3, 0.3)), torch.randperm(BATCH, device=device)
            shapes = mix * shapes + (1 - mix) * shapes[other]
            truth = mix * truth + (1 - mix) * truth[other]
        wanted = truth * (2 * _CERTAIN - 1) + 1 - _CERTAIN
        loss = (functional.binary_cross_entropy_with_logits(network(shapes), wanted, reduction="none") * balance).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        mean.update_parameters(network)
        if step % 500 == 0:
            print(f"step {step}: loss {loss.item():.3f}", file=sys.stderr, flush=True)
    return mean.module.cpu()


def averaged(networks: Sequence[Network]) -> Network:
    """The network whose weights are the mean of several that started from the same."""
    states = [network.state_dict() for network in networks]
    networks[0].load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    return networks[0]


def report(model: Path, clips: Clips) -> None:
    """Print how well a written network tells apart what was held out."""
    sound = InterruptionSound(model)
    unseen = np.flatnonzero(clips.unseen_voice)
    takes = Takes(clips.x, np.random.default_rng(7))
    plain = np.array([takes.plain(clips.x[i]) for i in unseen])
    truth = clips.interrupts[unseen]
    both = ~truth | clips.unseen_text[unseen]
    print(f"{truth.sum()} interruptions, of them {both[truth].sum()} of unseen words; {(~truth).sum()} backchannels")
    for secs in sorted(set(LENGTHS)):
        guess = np.array([sound.judge(take[: round(secs * RATE)]).interruption for take in plain])
        for name, rows in (("voices", truth | ~truth), ("voices and words", both)):
            yes, no = guess[rows & truth], guess[rows & ~truth]
            area = np.mean(yes[:, None] > no[None])
            line = f"{secs:.2f} s, unseen {name:16}: area {area:.3f}; at 15 % false {_above(yes, no, 0.85):.3f}"
            for at in (0.5, 0.7, 0.8, 0.9, 0.95):
                line += f"; at {at} {np.mean(yes >= at):.3f} {np.mean(no >= at):.3f}"
            print(line)


def export(network: Network, path: Path) -> None:
    """Write the network, its matrices in 8 bits.

    Only what is stored is rounded. To compute in 8 bits as well costs a tenth of what is found: the activations of
    Whisper's encoder have outliers.
    """
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        torch.onnx.export(
            Probability(network),
            (torch.zeros(1, round(0.37 * RATE)),),
            str(whole),
            input_names=["samples"],
            output_names=["probability"],
            dynamic_axes={"samples": {0: "batch", 1: "samples"}, "probability": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        model = onnx.load(str(whole))
    round_matrices(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def round_matrices(graph: onnx.GraphProto) -> None:
    """Store the constant matrices of a graph in 8 bits, with a scale for each column."""
    constants = {constant.name: constant for constant in graph.initializer}
    used = {node.input[1] for node in graph.node if node.op_type == "MatMul" and node.input[1] in constants}
    for name in sorted(used):
        values = numpy_helper.to_array(constants[name])
        if values.shape[0] < _SMALLEST_ROUNDED:
            continue
        scale = np.maximum(np.abs(values).max(axis=0), 1e-12).astype(np.float32) / 127
        graph.initializer.remove(constants[name])
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}.rounded"),
                numpy_helper.from_array(scale, f"{name}.scale"),
                numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}.zero"),
            ]
        )
        inputs = [f"{name}.rounded", f"{name}.scale", f"{name}.zero"]
        graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=1))


def _above(yes: np.ndarray, no: np.ndarray, quantile: float) -> float:
    return float(np.mean(yes >= np.quantile(no, quantile)))


def main() -> int:
    """Train, tell how well it does, write the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings to average")
    parser.add_argument("--takes", type=int, default=5, help="takes of each clip")
    parser.add_argument("--processes", type=int, default=2, help="in how many takes are made")
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    clips = load(options.clips)
    known = np.flatnonzero(~clips.partly_unseen & ~(clips.unseen_text & options.held_out))
    takes, interrupts = prepare_all(clips, known, options.takes, options.processes)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = from_smart_turn()
    trained = [fit(deepcopy(start), takes, interrupts, options.steps, seed) for seed in range(options.seeds)]
    export(averaged(trained), options.out)
    few = np.random.default_rng(0).permutation(known)[:SPOKEN_CLIPS]
    spoken.teach(options.out, clips.x[few], [2] * len(few), spoken.SOUNDS)
    if options.held_out:
        report(options.out, clips)
    return 0


if __name__ == "__main__":
    sys.exit(main())
