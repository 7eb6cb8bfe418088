"""Each of the three services alone, as a function: say, hear, ask.

They are the same services as in the pipeline, and take their clients from the same place
(``halfcascade.processors.google_clients``): Google, or the servers named by the environment.
"""

from halfcascade.processors.alone.ask import TypedConversation, ask
from halfcascade.processors.alone.synthesize import Speech, synthesize, synthesize_stream
from halfcascade.processors.alone.transcribe import Heard, transcribe

__all__ = ["Heard", "Speech", "TypedConversation", "ask", "synthesize", "synthesize_stream", "transcribe"]
