"""Damaged associations: some of them in `make test`, as many as wished by `make fuzz`."""
