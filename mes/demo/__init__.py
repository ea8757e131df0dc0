"""`mes demo`: a whole factory on this machine, with simulated stations of every kind that build racks.

Everything goes through the doors that others use: REST for what an ERP and engineers do, MQTT for the stations.
"""

from mes.demo.show import Wish, show

__all__ = ["Wish", "show"]
