"""A simulated floor: stations of every kind that build racks from product definitions alone, people who err, repairs.

`schedule` is its clock, `plant` its stations, `work` what becomes of a unit, `faults` what goes wrong; all of that is a
function of a seed and says what happens as `deeds`. `player` makes it happen: over MQTT, as real stations would.
"""
