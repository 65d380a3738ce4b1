"""The peer of bench-load: the same lines, answered with nibabel."""
import json
import sys
import time

import nibabel
import numpy


def main():
    if sys.argv[1] == '--version':
        print(json.dumps({'nibabel': nibabel.__version__, 'numpy': numpy.__version__}))
        return
    for line in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        image = nibabel.as_closest_canonical(nibabel.load(sys.argv[1]))
        voxels = numpy.asarray(image.dataobj, numpy.float32)
        times = [1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - processor)]
        words = line.split(maxsplit=1)
        if words[0] == 'write':
            voxels.T.astype('<f4', order='C').tofile(words[1].strip())
            times = list(voxels.shape[::-1])
        print(json.dumps(times), flush=True)


main()
