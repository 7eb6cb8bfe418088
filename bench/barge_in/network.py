"""The network: two layers of Whisper's encoder as Smart Turn has trained them, from raw samples to a probability."""

from importlib import resources

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from halfcascade.processors.turns.barge_in_sound import RATE

WIDTH, HEADS, LAYERS = 384, 6, 2
BANDS, FFT, HOP = 80, 400, 160
# Ten times this many decibels below the loudest moment is silence.
_FLOOR = 6.0
_SMART_TURN = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
_PREFIX = "inner.encoder."


class Spectrogram(nn.Module):
    """Log mel spectrogram of a beginning of speech, from -1 (silence) to 1 (its loudest moment)."""

    def __init__(self) -> None:
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(FFT // 2 + 1), np.arange(FFT)) / FFT
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
        basis = np.concatenate([np.cos(angles), np.sin(angles)]) * window
        self.register_buffer("basis", torch.tensor(basis[:, None], dtype=torch.float32))
        self.register_buffer("filters", torch.tensor(_mel_filters().T, dtype=torch.float32))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, bands, frames of 10 ms)."""
        padded = functional.pad(samples, ((FFT - HOP) // 2, (FFT - HOP) // 2))
        parts = functional.conv1d(padded[:, None], self.basis, stride=HOP).square()
        power = (parts[:, : FFT // 2 + 1] + parts[:, FFT // 2 + 1 :]).transpose(1, 2)
        level = torch.clamp(power @ self.filters, min=1e-10).log10()
        loudest = level.amax((1, 2), keepdim=True)
        return ((torch.maximum(level, loudest - _FLOOR) - loudest + _FLOOR) * (2 / _FLOOR) - 1.0).transpose(1, 2)


class Layer(nn.Module):
    """A transformer layer that normalizes first, as Whisper's."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.key, self.query = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.1)

    @property
    def matrices(self) -> tuple[nn.Linear, ...]:
        """In the order in which Smart Turn's graph multiplies by them."""
        return self.key, self.query, self.value, self.out, self.wide, self.narrow

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend, then transform, (batch, frames, width)."""
        normal = self.norm1(x)

        def heads(y: torch.Tensor) -> torch.Tensor:
            return y.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)

        scores = heads(self.query(normal)) @ heads(self.key(normal)).transpose(2, 3) / (WIDTH / HEADS) ** 0.5
        attended = (torch.softmax(scores, -1) @ heads(self.value(normal))).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.out(attended))
        return x + self.dropout(self.narrow(functional.gelu(self.wide(self.norm2(x)))))


class Network(nn.Module):
    """Whether the beginning of speech takes the floor, as a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        self.conv1 = nn.Conv1d(BANDS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(round(0.7 * RATE) // HOP // 2 + 1, WIDTH))
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * WIDTH, 1)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Judge spectrograms of any length up to 0.7 s."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(spectrogram)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return self.head(self.dropout(torch.cat([x.mean(1), x.amax(1)], 1)))[:, 0]


class Probability(nn.Module):
    """The network as it is shipped: from samples to a probability."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Judge (batch, samples)."""
        return torch.sigmoid(self.network(self.network.spectrogram(samples)))


def from_smart_turn() -> Network:
    """Start where Smart Turn's encoder is.

    Raises:
        KeyError: If Pipecat's Smart Turn is another one than 3.2.
    """
    graph = onnx.load_from_string(resources.files("pipecat").joinpath(_SMART_TURN).read_bytes()).graph
    values = _dequantized(graph)
    network = Network()
    positions = values[_PREFIX + "embed_positions.weight"]
    pairs: list[tuple[nn.Parameter, np.ndarray]] = [(network.positions, positions[: len(network.positions)])]
    for number, conv in ((1, network.conv1), (2, network.conv2)):
        pairs.append((conv.weight, values[f"{_PREFIX}conv{number}.weight_DequantizeLinear_Output"]))
        pairs.append((conv.bias, values[f"{_PREFIX}conv{number}.bias"]))
    norms = iter([node for node in graph.node if node.op_type == "LayerNormalization"])
    matrices = iter(_matrices(graph, values))
    for layer in network.layers:
        for linear in layer.matrices:
            weight, bias = next(matrices)
            pairs.append((linear.weight, weight.T))
            if linear.bias is not None and bias is not None:
                pairs.append((linear.bias, bias))
        for norm in (layer.norm1, layer.norm2):
            node = next(norms)
            pairs += [(norm.weight, values[node.input[1]]), (norm.bias, values[node.input[2]])]
    for parameter, value in pairs:
        assert parameter.shape == value.shape
        parameter.data = torch.tensor(np.ascontiguousarray(value), dtype=torch.float32)
    return network


def _dequantized(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Constants by name, those that are stored as integers under the name of their real value."""
    values = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            stored = values[node.input[0]].astype(np.float32)
            scale, zero = values[node.input[1]], values[node.input[2]].astype(np.float32)
            if scale.size > 1:
                axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
                shape = [-1 if i == axis else 1 for i in range(stored.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            values[node.output[0]] = (stored - zero) * scale
    return values


def _matrices(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Constant matrices in the order of their use, with the bias that is added afterwards."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in values:
            continue
        output = node.output[0]
        while users.get(output) and users[output][0].op_type in ("QuantizeLinear", "DequantizeLinear"):
            output = users[output][0].output[0]
        added = [name for user in users.get(output, []) if user.op_type == "Add" for name in user.input]
        bias = next((values[name] for name in added if name in values and values[name].ndim == 1), None)
        found.append((values[node.input[1]], bias))
    return found


def _mel_filters() -> np.ndarray:
    """Triangular filters of equal area on Slaney's mel scale, as Whisper uses them: (bands, frequencies)."""
    step = np.log(6.4) / 27

    def hz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel >= 15, 1000 * np.exp(step * (mel - 15)), mel * 200 / 3)

    highest = 15 + np.log(RATE / 2 / 1000) / step
    edges = hz(np.linspace(0, highest, BANDS + 2))
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
