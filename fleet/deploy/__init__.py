"""Puts the agent on a box over ssh: looks first, prepares beside the old one, then switches."""
