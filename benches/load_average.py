#!/usr/bin/env python3
"""hardware_load_average as it would be in Python: what the built-in probe is compared with.

The same files are read, the same judgement is made, the same JSON is printed.
"""

import json
import os
import sys

DEFAULTS = {"enabled": True, "warnPercentage": 150, "critPercentage": 200, "toCheck": 1}


def settings():
    folder = os.environ.get("WIGO_PROBE_CONFIG_ROOT", "/etc/wigo/conf.d")
    try:
        with open(os.path.join(folder, "hardware_load_average.conf"), encoding="utf-8") as file:
            lines = ["\n" if line.lstrip().startswith(("#", ";")) else line for line in file]
    except FileNotFoundError:
        return DEFAULTS
    return {**DEFAULTS, **json.loads("".join(lines))}


def cores():
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        ranges = [part.split("-") for part in file.read().strip().split(",")]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ranges)


def main():
    wanted = settings()
    if wanted["enabled"] is False:
        return 12
    with open("/proc/loadavg", encoding="ascii") as file:
        loads = [float(word) for word in file.read().split()[:3]]
    judged = {2: 1, 5: 1, 10: 1, 3: 2, 15: 2}.get(wanted["toCheck"], 0)
    percentage = loads[judged] * 100 / cores()
    status, word = 100, "OK"
    if percentage > wanted["critPercentage"]:
        status, word = 300, "CRIT"
    elif percentage > wanted["warnPercentage"]:
        status, word = 200, "WARN"
    names = ["load1", "load5", "load15"]
    answer = {
        "Version": "1.0",
        "Status": status,
        "Value": word,
        "Message": "load average {}, {}, {}".format(*loads),
        "Metrics": [{"Tags": {"load": n}, "Value": v} for n, v in zip(names, loads)],
        "Detail": {},
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
