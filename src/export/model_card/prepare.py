image = Image.open(sys.argv[1])
{%- if scaled %}
turned = image.getexif().get(0x0112, 1) > 4
image.draft(None, {{ double_size|safe }}[::-1] if turned else {{ double_size|safe }})
{%- endif %}
image = ImageOps.exif_transpose(image)
{%- if !behind.is_none() %}
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, "{{ input.background|safe }}"), image.convert("RGBA"))
{%- endif %}
image = image.convert("{% if gray %}L{% else %}RGB{% endif %}")
{%- if stretch %}
low, high = int(numpy.min(image)), int(numpy.max(image))
image = image.point(lambda level: (level - low) * 255 / max(high - low, 1) + 0.5)
{%- endif %}
{%- if fit == "crop" %}
image = ImageOps.fit(image, ({{ input.width }}, {{ input.height }}), Image.Resampling.BILINEAR)
{%- else if fit == "pad" %}
image = ImageOps.pad(image, ({{ input.width }}, {{ input.height }}), Image.Resampling.BILINEAR, color="{{ behind_name|safe }}")
{%- else %}
image = image.resize(({{ input.width }}, {{ input.height }}), Image.Resampling.BILINEAR)
{%- endif %}
x = numpy.asarray(image, numpy.float32).reshape({{ input.height }}, {{ input.width }}, {{ input.channels }}).transpose(2, 0, 1)[None] / 255  # [1, C, H, W]
