"""Loaded by Python in the program's processes of a campaign with a plant: the closed network, then the named bug."""

import os

import network_guard

network_guard.close()

if os.environ.get("PLANT"):
    import planted

    planted.PLANTS[os.environ["PLANT"]]()
