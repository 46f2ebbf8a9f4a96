"""What two notebooks share: data, networks, training, records, plots and the report (see README.md)."""
