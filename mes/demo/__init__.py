"""`mes demo`: a first look at the MES, with simulated stations that build two cables, one of them miswired.

Everything goes through the doors that others use: REST for what an ERP and engineers do, MQTT for the stations.
"""

from mes.demo.show import show

__all__ = ["show"]
