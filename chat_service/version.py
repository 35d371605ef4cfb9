"""The version of the package, for code, for the build and for the command line."""

__version__ = "0.1.0"
