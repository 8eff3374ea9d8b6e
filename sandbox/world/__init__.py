"""The stand-in's world: what exists, how it is made from a seed, what can be asked and done.

from sandbox.world import Clock, Size, World, make_world
from sandbox.world import changes, order_flow, queries
"""

from sandbox.world.clock import Clock
from sandbox.world.generate import make_world
from sandbox.world.world import Size, World

__all__ = ["Clock", "Size", "World", "make_world"]
