"""What notebooks need and nothing else does: their set-up, their parameters, their controls, their execution."""

from .setup import start
