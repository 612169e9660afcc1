"""Reading the images of an experiment with Pillow."""
import pathlib

import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset


def read(file, side):
    """Grey levels, uint8 `[1, side, side]`."""
    image = ImageOps.exif_transpose(Image.open(file)).convert("L")
    image = image.resize((side, side), Image.Resampling.BILINEAR)
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, side, side)


class Files(Dataset):
    def __init__(self, files, side):
        self.files, self.side = files, side

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return read(self.files[index], self.side)


def load(files, side, workers):
    """All images of a list of files, `[N, 1, side, side]` in 0..1; in a loop, or by a DataLoader of so many processes."""
    if workers == 0:
        images = torch.stack([read(file, side) for file in files])
    else:
        images = torch.cat(list(DataLoader(Files(files, side), 64, num_workers=workers)))
    return images.float() / 255


def jpegs(root):
    """Every JPEG below `root`, by name."""
    return sorted(file for file in pathlib.Path(root).rglob("*") if file.suffix.lower() in [".jpg", ".jpeg"])
