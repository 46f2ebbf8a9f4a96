"""What every other floor stands on: paths, profiles, files, progress."""
