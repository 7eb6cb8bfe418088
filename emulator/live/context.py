"""What the parts of a connection share once it is set up."""

from dataclasses import dataclass, field

from halfcascade.emulator.live.agenda import Agenda
from halfcascade.emulator.live.faults import FaultScript
from halfcascade.emulator.live.models import Surface
from halfcascade.emulator.live.output import Output
from halfcascade.emulator.live.session import Session
from halfcascade.emulator.live.setup import SessionConfig
from halfcascade.emulator.live.voice import Silence, Voice
from halfcascade.emulator.profiles import ThinkerProfile


@dataclass
class LiveContext:
    """What the parts of a connection share.

    Parameters:
        config: The setup, as changed since.
        session: Holds the history.
        output: Where messages go.
        agenda: Where later things are noted.
        script: Faults.
        profile: Latencies.
        surface: Which API was called.
        voice: How the model sounds.
        touched: Whether the conversation changed since a resumption handle was given out.
    """

    config: SessionConfig
    session: Session
    output: Output
    agenda: Agenda
    script: FaultScript
    profile: ThinkerProfile
    surface: Surface
    voice: Voice = field(default_factory=Silence)
    touched: bool = False
