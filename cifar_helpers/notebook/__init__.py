"""What notebooks need and nothing else does: their set-up, their parameters, their controls."""

from .setup import start
