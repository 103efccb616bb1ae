"""Printers to play with; they speak the wire protocols of real ones."""
