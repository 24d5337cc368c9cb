"""The demonstration checkpoint: synthetic radiographs, their wording, the script that trains it."""
