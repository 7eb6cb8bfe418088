"""What a talk costs when a service fails: services x faults x phases, each a short talk in real time."""
