"""Joins networks of interruptions into one that answers what they think on average.

python -m bench.barge_in.committee FIRST.onnx SECOND.onnx [...] --out FILE.onnx

Networks that learned from other people err about other people: the mean of their logits is right more often than each.
Whether it is speech at all (``bench.barge_in.spoken``) is left to the first, which alone may have been taught it.
Needs ``onnx`` beside the project.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import compose, helper

_INPUT, _ANSWER = "samples", "probability"


def join(models: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Join networks.

    Args:
        models: Networks; none but the first may have been taught the second answer.

    Returns:
        One with the same input and outputs.
    """
    joined = onnx.ModelProto()
    # The first network comes last: the second answer is taught from the last layers of a graph.
    others = [_prefixed(model, f"other{number}.") for number, model in enumerate(models[1:])]
    joined.CopyFrom(models[0])
    graph = joined.graph
    nodes = [*(node for other in others for node in other.node), *models[0].graph.node]
    answers = [other.output[0].name for other in others] + [_ANSWER]
    logits = [node.input[0] for node in nodes if node.output[0] in answers]
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.output[0] not in answers)
    graph.initializer.extend(constant for other in others for constant in other.initializer)
    graph.node.append(helper.make_node("Mean", logits, ["logit"], "logit"))
    graph.node.append(helper.make_node("Sigmoid", ["logit"], [_ANSWER], _ANSWER))
    onnx.checker.check_model(joined)
    return joined


def _prefixed(model: onnx.ModelProto, prefix: str) -> onnx.GraphProto:
    """A network's graph with names of its own, but for the input."""
    graph = compose.add_prefix(model, prefix).graph
    for node in graph.node:
        node.input[:] = [_INPUT if name == prefix + _INPUT else name for name in node.input]
    return graph


def main() -> int:
    """Parse the command line and write the joined network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    onnx.save(join([onnx.load(str(path)) for path in options.networks]), str(options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
