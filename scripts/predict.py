"""What images show, by an exported model: python predict.py model.pt image... (needs torch and Pillow alone)"""
import json, sys
import torch
from PIL import Image, ImageOps

files = {"signet.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=files)
card = json.loads(files["signet.json"])
for name in sys.argv[2:]:
    image = Image.open(name)
    size = card["input"]["width"], card["input"]["height"]
    if card["input"].get("decode") == "scaled":  # large JPEG files in part; turned ones lie on their side still
        image.draft(None, [2 * side for side in (size[::-1] if image.getexif().get(0x0112, 1) > 4 else size)])
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip
        image = image.convert("I").point(lambda level: level / 257 + 0.5).convert("L")
    background = card["input"].get("background", "none")  # what is seen behind transparent pixels
    if image.has_transparency_data and background != "none":
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
    image = image.convert("L" if card["input"]["channels"] == 1 else "RGB")
    if card["input"]["preprocess"] == "stretch":
        levels = torch.tensor(image.getextrema())  # darkest and brightest, of each colour
        low, high = levels.min().item(), levels.max().item()
        image = image.point(lambda level: (level - low) * 255 / max(high - low, 1) + 0.5)
    fit = card["input"].get("fit", "squeeze")
    if fit == "crop":
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    elif fit == "pad":
        image = ImageOps.pad(image, size, Image.Resampling.BILINEAR, color="black" if background == "none" else background)
    else:
        image = image.resize(size, Image.Resampling.BILINEAR)
    x = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).float() / 255
    x = x.view(image.height, image.width, -1).permute(2, 0, 1).unsqueeze(0)  # [1, C, H, W] in 0..1
    probability, index = model(x).softmax(1).max(1)
    print(f"{name}  {card['classes'][index]}  {100 * probability.item():.2f} %")
