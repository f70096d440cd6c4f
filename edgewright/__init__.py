"""What several of the programs need and none of them owns.

Only msgspec and the standard library are imported here, unless a module says otherwise in its
first line.
"""
