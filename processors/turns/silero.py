"""Silero's network without the engine it is made for: a third of the processor time where it is asked now and then.

The file that Pipecat brings takes ONNX Runtime through five hundred nodes a window, most of which find out again what
shape the sound has, and which put a megabyte of weights into another order each time. Between two windows of a talk
others use the processor's caches, so that all of it comes from memory. The weights are read from the same file.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KNOWN = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
# The half of the file that is for a rate, by its name there.
_HALVES = {16_000: "If_0_then_branch__Inline_0__", 8_000: "If_0_else_branch__Inline_0__"}
_UNITS = 128
# The algebra library wakes a second thread for a larger matrix, which costs more than it saves.
_ROWS = 32
# Four moments, and every second of them, each between its neighbours; silence before them is the first of six.
_NEIGHBOURS = (np.add.outer(np.arange(4), np.arange(3)), np.add.outer(np.arange(0, 4, 2), np.arange(3)))


class SileroNetwork:
    """The network for one sample rate; it remembers nothing.

    Args:
        weights: By their names in Silero's PyTorch module.
    """

    def __init__(self, weights: dict[str, np.ndarray]):
        self._window = weights["stft.forward_basis_buffer"][0, 0]
        size = len(self._window)
        # At the end the sound is mirrored for a quarter of a frame.
        heard = np.arange(9 * size // 4)
        mirrored = np.concatenate([heard, heard[-2 : -2 - size // 4 : -1]])
        self._frames = np.lib.stride_tricks.sliding_window_view(mirrored, size)[:: size // 2].copy()
        convolutions = [_convolution(weights, f"encoder.{layer}.reparam_conv") for layer in range(4)]
        self._early = [(np.ascontiguousarray(kernel.T), bias) for kernel, bias in convolutions[:2]]
        # Two moments are left, then one: what weighs the silence around them falls away.
        (third, third_bias), (fourth, fourth_bias) = convolutions[2:]
        third = np.ascontiguousarray(third[:, third.shape[1] // 3 :])
        fourth = np.ascontiguousarray(np.split(fourth, 3, axis=1)[1])
        self._late = [(third, third_bias), (fourth, fourth_bias)]
        gates = np.hstack([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]])
        bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
        # The new value last; half of the others, since a sigmoid is a hyperbolic tangent of half as much.
        order = np.r_[0 : 2 * _UNITS, 3 * _UNITS : 4 * _UNITS, 2 * _UNITS : 3 * _UNITS]
        half = np.where(np.arange(4 * _UNITS) < 3 * _UNITS, 0.5, 1.0).astype(np.float32)
        self._gates = (gates[order] * half[:, None]).reshape(-1, _ROWS, 2 * _UNITS)
        self._gate_bias = bias[order] * half
        self._decision = weights["decoder.decoder.2.weight"].ravel()
        self._decision_bias = weights["decoder.decoder.2.bias"]

    def run(self, heard: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge a window.

        Args:
            heard: The window with an eighth as much of what was before it, -1.0 to 1.0, of shape (1, n).
            state: What is remembered of all before, of shape (2, 1, 128).

        Returns:
            How sure it is that this is speech, of shape (1, 1), and what is to be remembered.
        """
        sound = self._spectra(heard[0])
        for (weights, bias), places in zip(self._early, _NEIGHBOURS, strict=True):
            sound = _rectified(_thrice(sound, places) @ weights + bias)
        vector = sound.ravel()
        for weights, bias in self._late:
            vector = _rectified(weights @ vector + bias)
        hidden, cell = state[:, 0]
        gates = np.tanh((self._gates @ np.concatenate([vector, hidden])).ravel() + self._gate_bias)
        enters, stays, leaves = (0.5 + 0.5 * gates[: 3 * _UNITS]).reshape(3, _UNITS)
        cell = stays * cell + enters * gates[3 * _UNITS :]
        hidden = leaves * np.tanh(cell)
        decision = np.maximum(hidden, 0) @ self._decision + self._decision_bias
        return (0.5 + 0.5 * np.tanh(0.5 * decision)).reshape(1, 1), np.concatenate([hidden, cell]).reshape(2, 1, _UNITS)

    def _spectra(self, heard: np.ndarray) -> np.ndarray:
        """How loud each frequency is at four moments, shape (4, n)."""
        return np.abs(np.fft.rfft(heard.take(self._frames) * self._window))


def _convolution(weights: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a convolution over three moments as a matrix, a moment after the other, and its bias."""
    kernel = weights[f"{name}.weight"]
    return np.ascontiguousarray(kernel.transpose(0, 2, 1)).reshape(len(kernel), -1), weights[f"{name}.bias"]


def _thrice(sound: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Moments with their neighbours, as one row each; what is before the first and after the last is silence."""
    padded = np.zeros((len(sound) + 2, sound.shape[1]), np.float32)
    padded[1:-1] = sound
    return padded.take(places, axis=0).reshape(len(places), -1)


def _rectified(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0, out=values)


@cache
def load_silero(path: Path) -> dict[int, SileroNetwork] | None:
    """Read the weights from Silero's file.

    Args:
        path: The file, for ONNX Runtime.

    Returns:
        A network for each sample rate; None if it is not the file whose network this is.
    """
    model = path.read_bytes()
    if hashlib.sha256(model).hexdigest() != _KNOWN:
        return None
    tensors = dict(_tensors(_onnx_model().FromString(model).graph))
    return {
        rate: SileroNetwork({name.removeprefix(half): tensors[name] for name in tensors if name.startswith(half)})
        for rate, half in _HALVES.items()
    }


def _tensors(graph: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of float32 of a graph and those within it, by their names."""
    for node in graph.node:
        for attribute in node.attribute:
            yield from _tensors(attribute.g)
            if attribute.t.data_type == 1 and attribute.t.dims:
                yield node.output[0], np.frombuffer(attribute.t.raw_data, "<f4").reshape(attribute.t.dims)


@cache
def _onnx_model() -> Any:
    """The protobuf class of a model, with those of ONNX's fields that hold arrays."""
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = {
        "Model": [("graph", 7, "Graph")],
        "Graph": [("node", 1, "[Node]")],
        "Node": [("output", 2, "[string]"), ("attribute", 5, "[Attribute]")],
        "Attribute": [("t", 5, "Tensor"), ("g", 6, "Graph")],
        "Tensor": [("dims", 1, "[int64]"), ("data_type", 2, "int32"), ("raw_data", 9, "bytes")],
    }
    file = descriptor_pb2.FileDescriptorProto(name="halfcascade/onnx.proto", package="halfcascade.onnx")
    for name, its_fields in fields.items():
        message = file.message_type.add(name=name)
        for field, number, kind in its_fields:
            label = kinds.LABEL_REPEATED if kind.startswith("[") else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            single = kind.strip("[]")
            if single in fields:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".halfcascade.onnx.{single}"
            else:
                added.type = getattr(kinds, f"TYPE_{single.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("halfcascade.onnx.Model"))
