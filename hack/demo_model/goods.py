"""Things that a shop sells."""

import random
from typing import Final

KINDS: Final = (
    "armchair", "backpack", "bag", "bed", "bicycle", "book", "boots", "bottle", "bowl", "camera", "carpet", "chair",
    "charger", "clock", "coat", "coffee machine", "cup", "curtain", "cushion", "desk", "dress", "drill", "fan",
    "fridge", "game", "glasses", "gloves", "guitar", "hat", "headphones", "helmet", "jacket", "jeans", "kettle",
    "keyboard", "knife", "lamp", "laptop", "mattress", "microwave", "mirror", "mixer", "monitor", "mouse", "mug",
    "necklace", "oven", "pan", "pen", "phone", "phone case", "pillow", "plate", "printer", "puzzle", "racket", "radio",
    "ring", "router", "scarf", "set", "shelf", "shirt", "shoes", "skirt", "sofa", "speaker", "suitcase", "sunglasses",
    "sweater", "table", "tablet", "television", "tent", "toaster", "tool", "toy", "trousers", "umbrella", "vacuum",
    "vase", "wardrobe", "watch", "device", "article", "item", "product", "gift", "blanket", "bike", "sneakers",
    "blender", "toothbrush", "grill", "screen", "cable", "battery", "perfume", "cream", "tea", "wine", "plant",
)  # fmt: skip
LOOKS: Final = (
    "new", "black", "white", "red", "blue", "green", "grey", "wooden", "leather", "electric", "small", "large",
    "wireless", "glass", "kitchen", "running", "winter", "garden", "smart",
)  # fmt: skip


def good(rng: random.Random) -> str:
    """Return a thing that somebody bought or may buy."""
    kind = rng.choice(KINDS)
    return f"{rng.choice(LOOKS)} {kind}" if rng.random() < 0.25 else kind
