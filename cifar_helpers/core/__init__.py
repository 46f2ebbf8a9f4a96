"""What every other floor stands on: paths, profiles, files, progress, the register of names, text."""
