"""The command `taqrir`: starts the parts, shows their state, runs the demo."""
