"""`recorder run` whose garbage collector makes short passes only, as it does with many calls.

``python short_passes.py PROGRAM ... run -C HOME``: what is before ``run`` is left out.
"""

import sys

import recorder.__main__
from recorder.common import garbage_collection

if __name__ == "__main__":
    garbage_collection.FEW_LEGS = -1
    sys.argv[:] = ["recorder", *sys.argv[sys.argv.index("run") :]]
    recorder.__main__.main()
