"""How the sound of an interruption was learned: synthetic clips, their many takes, the training of the network.

Not part of the bot. ``clips`` makes utterances, ``takes`` puts them into rooms, ``network`` is what is trained,
``train`` trains it and writes ``processors/turns/data/barge_in_sound.onnx``. See ``train`` for the commands.
"""
