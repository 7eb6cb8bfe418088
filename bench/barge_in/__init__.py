"""How the sound of an interruption was learned: synthetic clips, their many takes, the training of the network.

Not part of the bot. ``clips`` makes utterances, ``vocal`` sounds of people that are no speech, ``takes`` puts them into
rooms, ``network`` is what is trained, ``train`` trains it and writes ``processors/turns/data/barge_in_sound.onnx``,
``spoken`` teaches that file to tell speech from what is none. See ``train`` and ``spoken`` for the commands.
"""
