"""What the records mean: statistics, calibration, maps, probes, the loss landscape."""
