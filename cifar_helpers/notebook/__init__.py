"""What notebooks need and nothing else does: their parameters, their controls, their execution."""
