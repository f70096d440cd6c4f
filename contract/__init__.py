"""What the builder, the agent and the fleet agree on: bundles, runs, messages, topics.

Only msgspec and the standard library are imported here, so that every program on every
box can read every document without its neighbours' dependencies.
"""
