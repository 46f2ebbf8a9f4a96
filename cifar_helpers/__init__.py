"""What two notebooks share: data, networks, training, records, plots and the report (see README.md)."""

import os

# OpenMP's threads spin while they wait, by default. Two processes that share the cores (a training and a notebook,
# two notebooks) then keep each other from working. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
