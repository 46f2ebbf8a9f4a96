"""The profiles: how much data, how many epochs, how many seeds."""

import os

PROFILES = ("smoke", "quick", "full")
PUBLISH = "CIFAR_PUBLISH"  # the variable by which the pipeline says that a notebook writes for the report


def profile(name: str | None = None) -> str:
    """The profile to use: the argument, else CIFAR_PROFILE, else full; ValueError where there is none of that name."""
    name = name or os.environ.get("CIFAR_PROFILE") or "full"
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose from {', '.join(PROFILES)}")
    return name
