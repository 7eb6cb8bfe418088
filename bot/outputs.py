"""What this bot needs of an output transport, added to those that somebody else has made."""

from loguru import logger
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport

from halfcascade.processors.playout import Playout
from halfcascade.transports.speaking import OwnLoudspeaker, tell_as_played


def fit_out(output: FrameProcessor, playout: Playout | None = None) -> Playout | None:
    """Let any of Pipecat's outputs tell that the bot speaks as it is played, duck, and fade what is cut off.

    Args:
        output: Of a transport, before it runs.
        playout: Whose filter the transport has already, or None.

    Returns:
        The one whose processor is to stand before the output; None if the output ducks by itself, or if it cannot be
        made to, because it has another filter or is not mono.
    """
    if not isinstance(output, BaseOutputTransport) or isinstance(output, OwnLoudspeaker):
        return playout
    tell_as_played(output)
    params = output._params
    if playout or not params.audio_out_enabled:
        return playout
    if params.audio_out_filter or params.audio_out_channels != 1:
        logger.warning(f"{output} has a filter of its own or is not mono: the bot does not duck while a user speaks.")
        return None
    playout = Playout()
    params.audio_out_filter = playout.filter
    return playout
