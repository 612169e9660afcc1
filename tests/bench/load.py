"""Reads every JPEG below a folder: python load.py folder side processes; prints how many there are."""
import sys

import images

if __name__ == "__main__":
    files = images.jpegs(sys.argv[1])
    print(len(images.load(files, int(sys.argv[2]), int(sys.argv[3]))))
