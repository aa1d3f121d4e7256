"""Run ph.x, hold it where it announces a q point, then let it go on, or kill it.

``python held_ph.py QPOINT SECONDS PH.X ARGUMENTS``; it is killed after 0 seconds.

Nobody reads what ph.x prints while it is held. It goes on for as long as there is room: 4 kB in the pipe and 8 kB of
its own, of the 30 kB of symmetries that it prints before it begins to calculate. So it always stops among these,
however fast the machine is and whatever else runs on it.
"""

import subprocess
import sys
import time


def main(qpoint, seconds, *command):
    """Return the exit status of ph.x."""
    # Without a buffer, which would be filled ahead of what is needed.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, pipesize=4096, bufsize=0)
    announced = 0
    for line in process.stdout:
        sys.stdout.buffer.write(line)
        if b'Calculation of q =' in line:
            announced += 1
            if announced == int(qpoint):
                time.sleep(float(seconds))
                if not float(seconds):
                    process.kill()
                    break
    return process.wait()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
