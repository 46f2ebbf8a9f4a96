"""What every other level stands on: paths, profiles, files, progress, the register of names, text."""
