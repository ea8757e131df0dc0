"""A diagnostic written with the public `ocptv` package, which knows nothing of the MES: `… STEPS PAUSE_S [STATUS]`."""

import sys
import time

from ocptv import output as tv
from ocptv.output import DiagnosisType, Dut, Validator, ValidatorType


def main(samples: int, pause_s: float, status: int) -> None:
    print("banner: some program's talk", flush=True)
    run = tv.TestRun(name="gpu-soak", version="1.2")
    with run.scope(dut=Dut(id="dut0")):
        step = run.add_step("soak")
        with step.scope():
            limit = Validator(type=ValidatorType.LESS_THAN_OR_EQUAL, value=90.0)
            step.add_measurement(name="power", value=150.0, unit="W")
            series = step.start_measurement_series(name="gpu_temp", unit="Cel", validators=[limit])
            with series.scope():
                for number in range(samples):
                    series.add_measurement(value=40.0 + number)
                    sys.stdout.flush()
                    time.sleep(pause_s)
            step.add_diagnosis(DiagnosisType.PASS, verdict="soak-ok", message="all well")
        fans = run.add_step("fans")
        with fans.scope():
            fans.add_diagnosis(DiagnosisType.UNKNOWN, verdict="fan-noise")
    sys.exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
