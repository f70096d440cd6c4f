"""Images and classes: what a build tunes, calibrates and is measured with."""
