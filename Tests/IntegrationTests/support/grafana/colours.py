"""Colours as Grafana names and draws them."""

import re

# Each hue from light to dark: super-light, light, the hue itself, semi-dark, dark.
SHADES = ("super-light-{}", "light-{}", "{}", "semi-dark-{}", "dark-{}")
HUES = {
    "dark": {"red": "FFA6B0 FF7383 F2495C E02F44 C4162A", "orange": "FFCB7D FFB357 FF9830 FF780A FA6400",
             "yellow": "FFF899 FFEE52 FADE2A F2CC0C E0B400", "green": "C8F2C2 96D98D 73BF69 56A64B 37872D",
             "blue": "C0D8FF 8AB8FF 5794F2 3274D9 1F60C4", "purple": "DEB6F2 CA95E5 B877D9 A352CC 8F3BB8"},
    "light": {"red": "FF7383 F2495C E02F44 C4162A AD0317", "orange": "FFB357 FF9830 FF780A FA6400 E55400",
              "yellow": "FFEE52 FADE2A F2CC0C E0B400 CC9D00", "green": "96D98D 73BF69 56A64B 37872D 19730E",
              "blue": "8AB8FF 5794F2 3274D9 1F60C4 1250B0", "purple": "CA95E5 B877D9 A352CC 8F3BB8 7C2EA3"},
}
# What CSS calls so, where Grafana has no shade of that name.
CSS = {"gray": "808080", "grey": "808080", "white": "FFFFFF", "black": "000000"}
RGB = tuple[float, float, float]


def rgb(colour: str, theme: str) -> RGB | None:
    """A colour of a dashboard, or nothing where the theme alone knows it (`text`, `transparent`)."""
    named = {shade.format(hue): value for hue, values in HUES[theme].items() for shade, value in zip(SHADES, values.split())}
    text = (named | CSS).get(colour, colour).lstrip("#")
    return tuple(int(text[at:at + 2], 16) for at in (0, 2, 4)) if re.fullmatch(r"[0-9A-Fa-f]{6}", text) else None


def css(colour: str) -> RGB:
    """`rgb(1, 2, 3)` or `rgba(…)` of a computed style."""
    return tuple(float(part) for part in re.findall(r"[\d.]+", colour)[:3])


def contrast(one: RGB, other: RGB) -> float:
    """From 1 to 21: WCAG 2.2, 1.4.3."""
    def luminance(colour: RGB) -> float:
        parts = [part / 255 for part in colour]
        return sum(weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
                   for weight, part in zip((0.2126, 0.7152, 0.0722), parts))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def alike(one: RGB, other: RGB, tolerance: float = 14) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other))
