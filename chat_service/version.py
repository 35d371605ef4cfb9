"""The package version, read by code, the build and the command line."""

__version__ = "0.1.0"
